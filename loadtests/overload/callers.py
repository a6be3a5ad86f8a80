"""Callers: one process of many connections that reserve, as lean as Python allows.

    python -m loadtests.overload.callers < plan.json

Reads a ``Plan``, prints a ``Seen``. Requests are made by filling in a key; answers are looked at as bytes.
"""

import asyncio
import random
import re
import secrets
import sys
import time
from collections import deque
from typing import cast

from msgspec import Struct, field, json

_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)", re.IGNORECASE)
_AFTER = re.compile(rb"\r\nretry-after: (\d+)", re.IGNORECASE)

#: Answers that say: not now.
REFUSALS = (429, 503)


class Plan(Struct):
    """What a process does. ``rate`` 0 is a closed loop: who was answered asks again at once."""

    host: str
    port: int
    key: str
    skus: int
    connections: int
    seconds: float
    warm_s: float = 1.0  # not counted
    rate: float = 0.0  # requests a second, whether or not answers come
    retries: int = 0  # at once after a refusal; only then Retry-After counts
    obey: bool = True  # wait as long as Retry-After says
    depth: int = 1  # requests sent ahead on one connection


class Seen(Struct):
    """What became of the requests that were answered after the warm-up."""

    statuses: dict[int, int] = field(default_factory=dict)
    good_ms: list[float] = field(default_factory=list)
    refused_ms: list[float] = field(default_factory=list)
    windows: list[int] = field(default_factory=list)  # good answers in each quarter of a second, warm-up included
    broken: int = 0  # connections
    missed: int = 0  # requests that found no free connection
    cpu_s: float = 0.0  # of this process, warm-up included, connecting not


class Callers:
    """All connections of the process, and what they saw."""

    def __init__(self, plan: Plan) -> None:
        self.plan, self.seen = plan, Seen()
        self.began = time.monotonic()
        self.ends = self.began + plan.warm_s + plan.seconds
        self.idle: list[Caller] = []
        self._run = secrets.token_hex(4)
        self._count = 0
        self._head = (
            f"POST /v1/reservations HTTP/1.1\r\nHost: {plan.host}\r\nAuthorization: Bearer {plan.key}\r\n"
            "Content-Type: application/json\r\n"
        ).encode()

    def request(self) -> bytes:
        """A reservation nobody asked for before."""
        self._count += 1
        body = b'{"lines":[{"sku":"SKU-%d","quantity":1}],"ttl_seconds":600}' % (self._count % self.plan.skus)
        key = f"{self._run}-{self._count}".encode()
        return b"%sIdempotency-Key: %s\r\nContent-Length: %d\r\n\r\n%s" % (self._head, key, len(body), body)

    def note(self, status: int, took_s: float, now: float) -> None:
        if status == 201:
            window = int((now - self.began) * 4)
            self.seen.windows.extend([0] * (window + 1 - len(self.seen.windows)))
            self.seen.windows[window] += 1
        if self.began + self.plan.warm_s <= now <= self.ends:
            self.seen.statuses[status] = self.seen.statuses.get(status, 0) + 1
            if status == 201:
                self.seen.good_ms.append(took_s * 1000)
            elif status in REFUSALS:
                self.seen.refused_ms.append(took_s * 1000)

    async def run(self) -> Seen:
        loop = asyncio.get_running_loop()
        plan = self.plan
        made = [
            await loop.create_connection(lambda: Caller(self), plan.host, plan.port) for _ in range(plan.connections)
        ]
        connected_s = time.process_time()
        self.began = time.monotonic()
        self.ends = self.began + plan.warm_s + plan.seconds
        self.idle.extend(caller for _, caller in made)
        if plan.rate:
            await self._open_loop()
        else:
            for _, caller in made:
                for _ in range(plan.depth):
                    caller.ask(self.request(), 0)
            await asyncio.sleep(self.ends - time.monotonic())
        self.seen.cpu_s = time.process_time() - connected_s
        for transport, _ in made:
            transport.abort()
        return self.seen

    async def _open_loop(self) -> None:
        sent = 0
        while (now := time.monotonic()) < self.ends:
            due = int((now - self.began) * self.plan.rate)
            while sent < due:
                sent += 1
                if not self.idle:
                    self.seen.missed += now > self.began + self.plan.warm_s
                    continue
                self.idle.pop().ask(self.request(), 0)  # the last one first, as pools of connections do
            await asyncio.sleep(0.004)


class Caller(asyncio.Protocol):
    """One connection."""

    def __init__(self, all: Callers) -> None:
        self.all = all
        self._asked: deque[tuple[bytes, int, float]] = deque()  # request, attempt, when
        self._read = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's does not say so

    def connection_lost(self, exc: Exception | None) -> None:
        if time.monotonic() < self.all.ends:
            self.all.seen.broken += 1

    def ask(self, request: bytes, attempt: int) -> None:
        now = time.monotonic()
        if now < self.all.ends and not self._transport.is_closing():
            self._asked.append((request, attempt, now))
            self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._read += data
        while (end := self._read.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(self._read, 0, end + 2)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self._read) < whole:
                return
            head, self._read = self._read[: end + 2], self._read[whole:]
            self._answered(head)

    def _answered(self, head: bytes) -> None:
        request, attempt, asked = self._asked.popleft()
        now = time.monotonic()
        status, plan = int(head[9:12]), self.all.plan
        self.all.note(status, now - asked, now)
        if plan.rate:
            self.all.idle.append(self)
        elif status not in REFUSALS or not plan.obey:
            self.ask(self.all.request(), 0)
        elif attempt < plan.retries:
            self.ask(request, attempt + 1)
        else:
            after = _AFTER.search(head)
            asyncio.get_running_loop().call_later(float(after[1]) if after else 1.0, self.ask, request, 0)


async def main() -> None:
    plan = json.decode(sys.stdin.buffer.read(), type=Plan)
    seen = await Callers(plan).run()
    for times in (seen.good_ms, seen.refused_ms):  # enough for a percentile
        if len(times) > 20_000:
            times[:] = random.sample(times, 20_000)
    sys.stdout.buffer.write(json.encode(seen))


if __name__ == "__main__":
    import gc

    import uvloop

    gc.disable()
    uvloop.run(main())
