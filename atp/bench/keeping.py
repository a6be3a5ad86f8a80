"""Ingest and drain at work during the subject's rounds, and whether they keep up (R30)."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import nats
from msgspec import Struct, json

from atp.bench.report import Finding
from atp.demo.http import Client, NoAnswer
from atp.dev.state import Endpoints
from atp.ingest import Feed, Settings
from atp.ingest.feed import level
from atp.waiting import stopped_within

#: Stock events a second that arrive while the service is measured, of skus that nobody buys.
EVENTS_PER_S = 100

#: What may wait for the journal: this many seconds of what the fastest round wrote.
OUTBOX_MAX_S = 2.0

#: Until everything must be journaled, and every event counted, after the last round.
SETTLES_S = 20.0

_LOOKS_S = 0.25
_SKUS = 50


class Sample(Struct):
    """Entries in the outbox at a moment of a round."""

    at: float
    outbox: int


class Keeping:
    """``async with keeping.round():`` around each round; ``findings`` at the end."""

    def __init__(self, endpoints: Endpoints) -> None:
        self._endpoints = endpoints
        self._told = 0
        self.rounds: list[list[Sample]] = []

    @contextlib.asynccontextmanager
    async def round(self) -> AsyncIterator[None]:
        """Feed stock and look at the outbox meanwhile."""
        stop = asyncio.Event()
        self.rounds.append([])
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._feed(stop))
            tasks.create_task(self._look(stop, self.rounds[-1]))
            try:
                yield
            finally:
                stop.set()

    async def _feed(self, stop: asyncio.Event) -> None:
        connection = await nats.connect(self._endpoints.nats)
        feed = Feed(connection, Settings())
        while not await stopped_within(stop, 0.1):
            first, self._told = self._told, self._told + EVENTS_PER_S // 10
            await feed.publish([
                level("feeder", f"fed-{n}", [(f"FED-{n % _SKUS}", "FED", n)], n + 1) for n in range(first, self._told)
            ])  # fmt: skip
        await connection.close()

    async def _look(self, stop: asyncio.Event, samples: list[Sample]) -> None:
        client = Client(self._endpoints.api, self._endpoints.api_key)
        while not await stopped_within(stop, _LOOKS_S):
            if (waiting := await _outbox(client)) is not None:
                samples.append(Sample(time.perf_counter(), waiting))
        client.close()

    async def findings(self, fastest: float) -> list[Finding]:
        """Whether the outbox stayed short in every round of ``fastest`` requests a second, and everything arrived."""
        began = time.perf_counter()
        client = Client(self._endpoints.api, self._endpoints.api_key)
        number = 0
        while (left := await _outbox(client)) != 0 or (number := await self._fed(client)) < self._told - 1:
            if time.perf_counter() > began + SETTLES_S:
                break
            await asyncio.sleep(0.1)
        took = time.perf_counter() - began
        client.close()
        most = max((sample.outbox for samples in self.rounds for sample in samples), default=0)
        bound = max(1_000, round(OUTBOX_MAX_S * fastest))
        growth = growing(self.rounds, bound)
        return [
            Finding("drain keeps up", not growth and left == 0,
                    f"at most {most:,} entries waited for the journal (bound {bound:,}), {left} were left {took:.1f} s "
                    f"after the last round{''.join(f'; {text}' for text in growth)}", timed=True),
            Finding("ingest keeps up", number >= self._told - 1,
                    f"{self._told:,} stock events at {EVENTS_PER_S} a second; {took:.1f} s after the last round the "
                    f"number of the {number + 1:,}th was shown", timed=True),
        ]  # fmt: skip

    async def _fed(self, client: Client) -> int:
        """The highest number that any of the fed skus shows: events carry ascending ones."""
        if not self._told:
            return 0
        try:
            answer = await client.ask("GET", f"/v1/availability/FED-{(self._told - 1) % _SKUS}")
        except NoAnswer:
            return 0
        return sum(at["on_hand"] for at in json.decode(answer.body)["locations"]) if answer.status == 200 else 0


def growing(rounds: list[list[Sample]], bound: int) -> list[str]:
    """Rounds at whose end more waited than ``bound``: a queue that only grows passes any bound."""
    return [
        f"round {number + 1} ended with {samples[-1].outbox:,} waiting"
        for number, samples in enumerate(rounds)
        if samples and samples[-1].outbox > bound
    ]


async def _outbox(client: Client) -> int | None:
    """Entries that wait for the journal; None of a server too busy to say, whose next answer tells more."""
    try:
        answer = await client.ask("GET", "/health/ready")
    except NoAnswer:
        return None
    return json.decode(answer.body)["checks"]["ledger"].get("outbox")
