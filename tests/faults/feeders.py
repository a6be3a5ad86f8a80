"""Feeders: what the sources say over NATS, again and again until the server has it, sometimes twice or late."""

import asyncio
from random import Random

import msgspec
from nats.aio.client import Client as Nats
from nats.errors import Error as NatsError

from atp.ingest import Event, Feed, FeedRefused
from atp.ingest.feed import delta, level

from .history import History, Op
from .shop import OPENING, POSITIONS, Position

_TICK_S = 0.1
_DUPLICATE, _LATE = 0.1, 0.1


class Feeder:
    """One source. ``count`` is what each position's number must be in the end, ``position`` where the stream stands."""

    def __init__(self, source: str, seed: int, nc: Nats, history: History) -> None:
        self.source = source
        self._places = [at for at in POSITIONS if at.source == source]
        self.count: dict[Position, int] = dict.fromkeys(self._places, OPENING[source])
        self.position = 0
        self.unsettled: list[tuple[int, Op]] = []  # (stream position, what takes effect there)
        self._feed = Feed(nc)
        self._rng = Random(f"{seed} {source}")
        self._history = history
        self._sequence = 0
        self._late: list[Event] = []

    async def open(self) -> None:
        """Tell the opening stock."""
        lines = [(at.sku, at.location, units) for at, units in self.count.items()]
        await self._publish([level(self.source, self._id(), lines, self._sequence)])

    async def run(self, stop: asyncio.Event) -> None:
        """Feed until ``stop``, then send what is late."""
        while not stop.is_set():
            await self.run_once()
            await asyncio.sleep(_TICK_S)
        await self._publish(self._late)

    async def run_once(self) -> None:
        """A few events; some are repeats, some are overtaken by those behind them."""
        at = self._rng.choice(self._places)
        units = self._rng.randint(1, 12)
        self.count[at] += units
        op = self._history.begin(Op("delta", self._id(), {at.sku: units}))
        events = [delta(self.source, op.key, [(at.sku, at.location, units)], self._sequence)]
        if self.source == "count":
            chosen = self._rng.sample(self._places, 3)
            lines = [(each.sku, each.location, self.count[each]) for each in chosen]
            counted = level(self.source, self._id(), lines, self._sequence)
            if self._rng.random() < _LATE:
                self._late.append(counted)
            else:
                events += [counted, *self._late]
                self._late.clear()
        if self._rng.random() < _DUPLICATE:  # past the server's own check, so that it reaches the ledger
            events.append(msgspec.structs.replace(events[0], headers={"Nats-Msg-Id": f"{op.key}-again"}))
        position = await self._publish(events)
        self.unsettled.append((position, op))

    def settled(self, cursor: int) -> None:
        """The ledger has settled the stream up to here."""
        for position, op in self.unsettled:
            if position <= cursor:
                op.end("ok")
        self.unsettled = [(position, op) for position, op in self.unsettled if position > cursor]

    async def _publish(self, events: list[Event]) -> int:
        """Until the server has them all; what it got before an error is dropped there by its id."""
        while events:
            try:
                self.position = max(self.position, await self._feed.publish(events))
                break
            except (FeedRefused, NatsError, TimeoutError, OSError):
                await asyncio.sleep(0.1)
        return self.position

    def _id(self) -> str:
        self._sequence += 1
        return f"{self.source}-{self._sequence}"
