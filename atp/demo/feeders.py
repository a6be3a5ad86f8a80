"""Feeders: an ERP, a WMS and a store system, each the authority for its places and with its own count of them.

The count is what a feeder knows by itself, never read back from the service. A feeder also behaves as such systems do:
it repeats itself, sends old counts late, lets changes overtake one another, and now and then sends nonsense.
"""

import asyncio
import time
from collections import deque
from random import Random

import msgspec
from nats.errors import Error as NatsError

from atp.demo.poison import poison
from atp.demo.retailer import SOURCES, Retailer
from atp.demo.tally import Tally
from atp.ingest import Event, Feed, FeedRefused
from atp.ingest.feed import delta, level

#: Between two publishes, and events in each.
TICK_S = 0.2
EVENTS_PER_TICK = 8

_LINES_MAX = 8  # of one event of the sale
_OPENING_LINES = 500  # of one event of the opening
_LATE, _LATE_TICKS = 0.15, 6  # share of events that others overtake, and by how much at most
_DUPLICATE, _STALE = 0.06, 0.04
_POISON = 0.12  # of ticks
_REMEMBERED = 400  # events that may be repeated
_GIVE_UP_S = 60.0


class FeedLost(Exception):
    """NATS did not take events for a minute."""


class Feeder:
    """One system. ``count`` is what each position's number must be in the end."""

    def __init__(self, name: str, seed: int, retailer: Retailer, feed: Feed, tally: Tally) -> None:
        self.source = SOURCES[name]
        self.count = retailer.positions(name)
        self.poison: set[str] = set()  # ids
        self.position = 0  # in the stream, of the last message it took
        self._feed = feed
        self._tally = tally
        self._rng = Random(f"feeder {seed} {name}")  # noqa: S311 - a game, no secret
        self._on_sale = {item.sku for item in retailer.on_sale}
        self._places = list(self.count)
        self._tag = retailer.tag
        self._sequence = 0
        self._ids = 0
        self._tick = 0
        self._late: list[tuple[int, Event]] = []
        self._sent: deque[Event] = deque(maxlen=_REMEMBERED)

    async def open(self) -> None:
        """Tell the whole opening stock."""
        lines = [(sku, at, units) for (sku, at), units in self.count.items()]
        chunks = [lines[start : start + _OPENING_LINES] for start in range(0, len(lines), _OPENING_LINES)]
        await self._publish([level(self.source, self._id(), chunk, self._next()) for chunk in chunks])
        self._tally.events["opening levels"] += len(lines)

    async def run(self, stop: asyncio.Event) -> None:
        """Feed until the sale is over, then send what is still late. Raises FeedLost."""
        while not stop.is_set():
            await self.run_once()
            await asyncio.sleep(TICK_S)
        await self._publish([event for _, event in self._late])

    async def run_once(self) -> None:
        """One tick's events; some are kept back, some are repeats."""
        self._tick += 1
        due = [event for tick, event in self._late if tick <= self._tick]
        self._late = [(tick, event) for tick, event in self._late if tick > self._tick]
        for _ in range(EVENTS_PER_TICK):
            event = self._event()
            if self._rng.random() < _LATE:
                self._late.append((self._tick + self._rng.randint(1, _LATE_TICKS), event))
                self._tally.events["out of order"] += 1
            else:
                due.append(event)
        if self._rng.random() < _POISON:
            due.append(self._poison())
        await self._publish(due)

    # -- events ------------------------------------------------------------------------------------------------------

    def _event(self) -> Event:
        choice = self._rng.random()
        if self._sent and choice < _DUPLICATE:
            # The server would drop a repeat by its message id; another one lets it reach the ledger.
            self._tally.events["duplicates"] += 1
            again = self._rng.choice(self._sent)
            return msgspec.structs.replace(again, headers={"Nats-Msg-Id": f"{again.source}:{self._id()}"})
        if self._sent and choice < _DUPLICATE + _STALE:
            # The same old words as a new event: an old count must never win against what came after it.
            old = self._rng.choice(self._sent)
            if old.type.startswith("atp.stock.level"):
                self._tally.events["stale levels"] += 1
                return msgspec.structs.replace(old, id=self._id())
        return self._level() if choice > 0.7 else self._delta()

    def _delta(self) -> Event:
        """Receipts; for what is not on sale also the other direction."""
        lines = []
        for sku, at in self._some_places():
            quantity = self._rng.randint(1, 4)
            if sku not in self._on_sale and self.count[sku, at] > 50 and self._rng.random() < 0.5:
                quantity = -quantity
            self.count[sku, at] += quantity
            lines.append((sku, at, quantity))
        self._tally.events["deltas"] += len(lines)
        return self._remember(delta(self.source, self._id(), lines, self._next()))

    def _level(self) -> Event:
        """A cycle count: what the feeder has, told again."""
        lines = [(sku, at, self.count[sku, at]) for sku, at in self._some_places()]
        self._tally.events["levels"] += len(lines)
        return self._remember(level(self.source, self._id(), lines, self._next()))

    def _poison(self) -> Event:
        id = self._id()
        self.poison.add(id)
        self._tally.events["poison"] += 1
        return poison(self._rng, self.source, id, self._next(), *self._rng.choice(self._places))

    def _some_places(self) -> list[tuple[str, str]]:
        return list(dict.fromkeys(self._rng.choices(self._places, k=self._rng.randint(1, _LINES_MAX))))

    def _remember(self, event: Event) -> Event:
        self._sent.append(event)
        return event

    def _next(self) -> int:
        self._sequence += 1
        return self._sequence

    def _id(self) -> str:
        self._ids += 1
        return f"{self._tag}-{self._ids}"

    async def _publish(self, events: list[Event]) -> None:
        """Until the server has them all; what it got before an error is dropped there by its id."""
        give_up = time.monotonic() + _GIVE_UP_S
        while events:
            try:
                self.position = max(self.position, await self._feed.publish(events))
                return
            except (FeedRefused, NatsError, TimeoutError, OSError) as error:
                self._tally.events["publishes repeated"] += 1
                if time.monotonic() > give_up:
                    raise FeedLost(
                        f"{self.source}: NATS did not take events for {_GIVE_UP_S:.0f} s: {error}"
                    ) from error
                await asyncio.sleep(0.2)
