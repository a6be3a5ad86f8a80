"""Our own load generator: one process of many connections, as lean as Python allows.

    python -m atp.bench.callers < plan.json

Closed loop: who was answered asks again at once. Open loop (``rate``): requests are due at even distances whatever
comes back; one that finds no free connection waits for one, and its latency counts from when it was due, so a server
that stalls cannot hide the requests that it kept from being sent (coordinated omission).
"""

import asyncio
import re
import sys
import time
from collections import deque
from pathlib import Path
from secrets import token_hex
from typing import cast

from msgspec import Struct, json

from atp.bench import asks

_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)", re.IGNORECASE)

#: How long answers are waited for after the last request was due.
GRACE_S = 5.0

#: What is due is looked for this often: the loop's own timers know milliseconds.
_TICK_S = 0.001


class Plan(Struct):
    """What to do. ``asks`` is a file of ``asks.write``; ``rate`` 0 is a closed loop."""

    host: str
    port: int
    asks: str
    connections: int
    seconds: float
    rate: float = 0.0


class Seen(Struct):
    """What came of it. ``requests`` were answered; ``errors`` are broken connections and requests without an answer."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    p999_ms: float
    refused: int
    errors: int


class Callers:
    """All connections, and what they saw."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._asks = asks.read(Path(plan.asks))
        self._run, self._count = token_hex(6).encode(), 0
        self._idle: deque[Caller] = deque()
        self._due: deque[float] = deque()  # when requests were due that no connection was free for
        self._waits: list[float] = []
        self._refused = self._errors = self._out = 0
        self._ends = 0.0
        self._over = False

    async def run(self) -> Seen:
        """Do all of the plan."""
        loop, plan = asyncio.get_running_loop(), self.plan
        made = [
            await loop.create_connection(lambda: Caller(self), plan.host, plan.port) for _ in range(plan.connections)
        ]
        self._idle.extend(caller for _, caller in made)
        began = time.perf_counter()
        self._ends = began + plan.seconds
        await (self._open_loop(began) if plan.rate else self._closed_loop())
        took = time.perf_counter() - began
        until = time.perf_counter() + GRACE_S
        while (self._out or self._due) and time.perf_counter() < until:  # noqa: ASYNC110 - counters of many connections
            await asyncio.sleep(_TICK_S)
        # Who still waits waited at least as long as this.
        now = time.perf_counter()
        unanswered = [now - since for since in self._due] + [now - c.asked for _, c in made if c.asked]
        self._errors += len(unanswered)
        self._over = True
        for transport, _ in made:
            transport.abort()
        return self._seen(took, sorted(self._waits + unanswered))

    async def _closed_loop(self) -> None:
        while self._idle:
            self._send(self._idle.popleft(), time.perf_counter())
        await asyncio.sleep(self._ends - time.perf_counter())

    async def _open_loop(self, began: float) -> None:
        every, number = 1 / self.plan.rate, 0
        while (due := began + number * every) < self._ends:
            now = time.perf_counter()
            if due > now:
                await asyncio.sleep(max(_TICK_S, due - now))
                continue
            number += 1
            if self._idle:
                self._send(self._idle.popleft(), due)
            else:
                self._due.append(due)

    def _send(self, caller: "Caller", since: float) -> None:
        head, tail = self._asks[self._count % len(self._asks)]
        self._count += 1
        self._out += 1
        caller.ask(b"%s%s%d%s" % (head, self._run, self._count, tail), since)

    def answered(self, caller: "Caller", status: int, since: float) -> None:
        """An answer came; the connection is free for the next request."""
        now = time.perf_counter()
        self._out -= 1
        self._refused += status >= 400
        self._waits.append(now - since)
        if self._due:
            self._send(caller, self._due.popleft())
        elif self.plan.rate:
            self._idle.append(caller)
        elif now < self._ends:
            self._send(caller, now)

    def lost(self, caller: "Caller") -> None:
        """A connection broke, unless we ended it: not made again, for a server that breaks them failed the round."""
        if self._over:
            return
        self._errors += 1
        self._out -= bool(caller.asked)
        caller.asked = 0.0
        if caller in self._idle:
            self._idle.remove(caller)

    def _seen(self, took: float, waits: list[float]) -> Seen:
        def at(share: float) -> float:
            return waits[min(len(waits) - 1, int(len(waits) * share))] * 1_000 if waits else 0.0

        return Seen(len(self._waits), took, at(0.5), at(0.99), at(0.999), self._refused, self._errors)


class Caller(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self, all: Callers) -> None:
        self._all = all
        self._read = b""
        self.asked = 0.0  # since when an answer is waited for, 0 if none is

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's does not say so

    def connection_lost(self, exc: Exception | None) -> None:
        self._all.lost(self)

    def ask(self, request: bytes, since: float) -> None:
        self.asked = since
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._read += data
        end = self._read.find(b"\r\n\r\n")
        if end < 0:
            return
        length = _LENGTH.search(self._read, 0, end + 2)
        if len(self._read) < end + 4 + (int(length[1]) if length else 0):
            return
        status, since = int(self._read[9:12]), self.asked
        self._read, self.asked = b"", 0.0
        self._all.answered(self, status, since)


async def main() -> None:
    plan = json.decode(sys.stdin.buffer.read(), type=Plan)
    sys.stdout.buffer.write(json.encode(await Callers(plan).run()))


if __name__ == "__main__":
    import gc

    import uvloop

    gc.disable()
    uvloop.run(main())
