"""What a level is net of, said by a position of our own events: the journal knows which reservations that is (R39)."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from atp.domain.commands import Change, Confirm, Level, PutPolicy, Reserve, ReserveLine
from atp.domain.ids import reservation_id
from atp.domain.order_commands import Include
from atp.domain.outcomes import Outcome
from atp.ingest import Consumer, Event, booked, feed
from atp.ingest.events import SNAPSHOT
from atp.journal import Journal, migrate
from atp.outbox import Counters, Drainer
from atp.outbox import Settings as OutboxSettings
from atp.outbox.handover import Handover
from tests.rooms.ingest.room import Room
from tests.rooms.ingest.sent import LINE, binary, decode
from tests.support import patient_journal


def test_what_a_line_includes_by_position_is_told_before_its_level():
    include, first, second = decode(
        binary(data={"lines": [LINE | {"measure": "available", "includes": {"through": 9, "orders": ["X"]}}, OTHER]})
    )
    assert include == Include(
        "TSHIRT-M", "DC1", "wms-east", 9, "sequence", (0, 42), "STOCK/0", 7, 0, "available", "event=e-1"
    )
    assert isinstance(first, Level)
    assert (first.includes, second.includes) == (["X"], [])


OTHER = LINE | {"sku": "B"}


class Books:
    """A journal with somebody who writes it."""

    def __init__(self, room: Room, journal: Journal) -> None:
        self.room, self.journal = room, journal
        self._drainer = Drainer(
            room.ledger, journal, 0, "me", Handover(1_000), OutboxSettings(lease_ms=5_000), Counters()
        )

    async def drain(self) -> None:
        while await self._drainer.run_once():
            pass

    def start(self, journal: Journal | None) -> Consumer:
        consumer = self.room.start()
        consumer._journal = journal
        return consumer

    async def sell(self, key: str, quantity: int) -> tuple[str, int]:
        """Id and position of a commitment that has no order_ref."""
        ledger, id = self.room.ledger, reservation_id("shop", key, "A")
        await ledger.submit(Reserve(id, 1, "shop", "web", "", "", "", "", 0, [ReserveLine("1", "A", quantity)]))
        result = await ledger.submit(Confirm(id, Change(len(key) + quantity, 1), "", [], "shop"))
        assert result.outcome is Outcome.APPLIED
        return id, result.seq

    async def states(self, *ids: str) -> list[str]:
        found = [await self.room.ledger.reservation(id) for id in ids]
        return [record.state for record in found if record]

    async def told(self, *events: Event) -> None:
        await self.room.settled(await self.room.publish(*events))

    async def free(self) -> int:
        (stock,) = await self.room.ledger.availability(["A"])
        return stock.locations[0].balance.free


@pytest.fixture
async def books(room: Room, database: str, namespace: str) -> AsyncIterator[Books]:
    await migrate(database)
    journal = Journal(patient_journal(database, namespace))
    await journal.open()
    await room.ledger.put_policy(PutPolicy("source", "wms", '{"kind":"wms","measure":"available"}'))
    yield Books(room, journal)
    await room.kill()
    await journal.close()


def net_of(id: str, quantity: int, sequence: int, through: int) -> Event:
    line = {"sku": "A", "location": "DC1", "quantity": quantity, "includes": {"through": through}}
    return Event("wms", id, feed.LEVEL, json.dumps({"lines": [line]}).encode(), sequence=sequence)


@pytest.mark.anyio
async def test_a_level_counts_exactly_the_commitments_up_to_its_position(books: Books, monkeypatch):
    monkeypatch.setattr(booked, "PAGE", 2)
    books.start(books.journal)
    await books.told(feed.level("wms", "l1", [("A", "DC1", 20)], sequence=1))
    sold = [await books.sell(f"k{n}", n) for n in (1, 2, 3)]
    later, _ = await books.sell("late", 4)
    await books.drain()
    assert await books.free() == 10
    await books.told(net_of("l2", 14, 2, sold[-1][1]))
    assert await books.states(*(id for id, _ in sold), later) == ["acknowledged"] * 3 + ["committed"]
    assert await books.free() == 10
    await books.drain()
    assert await books.journal.booked(0, "A", "DC1", "wms", sold[-1][1], after=0, limit=9) == []
    lines = [{"sku": "A", "location": "DC1", "quantity": 10, "includes": {"through": 10**9}}]
    part = {"snapshot_id": "s", "as_of": {"sequence": "3"}, "part": 1, "parts": 1, "full": False, "lines": lines}
    await books.told(Event("wms", "s1", SNAPSHOT, json.dumps(part).encode(), sequence=4))
    assert await books.states(later) == ["acknowledged"]
    assert await books.free() == 10


@pytest.mark.anyio
async def test_a_position_that_is_not_journaled_yet_is_waited_for(books: Books):
    books.start(books.journal)
    await books.told(feed.level("wms", "l1", [("A", "DC1", 20)], sequence=1))
    id, position = await books.sell("k1", 5)
    last = await books.room.publish(net_of("l2", 15, 2, position))
    await asyncio.gather(books.drain(), books.room.settled(last))
    assert await books.states(id) == ["acknowledged"]
    assert await books.free() == 15


@pytest.mark.anyio
async def test_without_the_journal_units_stay_subtracted_until_the_next_level_says_it_again(books: Books):
    consumer = books.start(None)
    await books.told(feed.level("wms", "l1", [("A", "DC1", 20)], sequence=1))
    id, position = await books.sell("k1", 5)
    await books.drain()
    await books.told(net_of("l2", 15, 2, position))
    assert (await books.free(), await books.states(id)) == (10, ["committed"])
    assert (consumer.counters.unresolved, await books.room.dead_letters()) == (1, [])
    await books.room.finish()
    books.start(books.journal)
    await books.told(net_of("l3", 15, 3, position))
    assert (await books.free(), await books.states(id)) == (15, ["acknowledged"])
