"""Statuses, deliveries, receipts and touches on their whole way, from the stream to the ledger."""

import json
from datetime import date, timedelta

import pytest

from atp.domain.commands import PutPolicy
from atp.domain.entries import ExceptionRaised, ExceptionResolved, SupplyExpected
from atp.domain.records import Asked
from atp.domain.times import day_starts
from atp.ingest import Event, Watcher, feed
from atp.ingest.events import INCOMING, RECEIVED, STATUS, TOUCH
from tests.support import wait_until_async

pytestmark = pytest.mark.anyio

TOKYO = '{"kind":"store","timezone":"Asia/Tokyo","sources":[{"source":"wms","role":"authority"}]}'

DAY = date.today() + timedelta(days=9)

DUE = {"A": str(date.today() - timedelta(days=3)), "B": str(date.today() + timedelta(days=2))}


def told(type: str, id: str, sequence: int, data: dict) -> Event:
    return Event("wms", id, type, json.dumps(data).encode(), sequence)


async def test_units_that_cannot_be_sold_are_subtracted(room):
    line = {"sku": "A", "location": "DC1"}
    last = await room.publish(
        told(STATUS, "s2", 2, {"lines": [line | {"unsellable": 3}]}),
        feed.level("wms", "l1", [("A", "DC1", 10)], sequence=1),
        told(STATUS, "s1", 1, {"lines": [line | {"unsellable": 9}]}),
    )
    room.start()
    await room.settled(last)
    (stock,) = await room.ledger.availability(["A"])
    assert (stock.ats, stock.locations[0].balance.unsellable) == (7, 3)
    assert room.consumer.counters.events == {"applied": 2, "stale": 1}


async def test_a_delivery_is_promised_for_its_day_at_its_location_and_shrinks_as_it_arrives(room):
    await room.ledger.put_policy(PutPolicy("location", "TYO", TOKYO))
    lines = [{"sku": "A", "location": at, "quantity": 20, "expected_on": str(DAY)} for at in ("DC1", "TYO")]
    arrived = {"supply_id": "po-1", "lines": [{"sku": "A", "location": "TYO", "quantity": 15}]}
    last = await room.publish(
        told(INCOMING, "i1", 1, {"supply_id": "po-1", "lines": lines}),
        told(RECEIVED, "r1", 2, arrived),
        told(RECEIVED, "r2", 2, arrived | {"note": "not in the contract"}),
    )
    again = Event("wms", "r1", RECEIVED, json.dumps(arrived).encode(), 2, headers={"Nats-Msg-Id": "again"})
    last = await room.publish(again)
    room.start()
    await room.settled(last)
    entries = [e for e in await room.ledger.read_entries(0, 0, 100) if isinstance(e, SupplyExpected)]
    assert {e.location: e.starts_at for e in entries} == {
        "DC1": day_starts(DAY, "UTC"),
        "TYO": day_starts(DAY, "Asia/Tokyo"),
    }
    (stock,) = await room.ledger.availability(["A"], Asked())
    assert (stock.ats, stock.atp) == (15, [(str(DAY), 40)])
    assert await room.reasons() == ["invalid-data"]


async def test_a_delivery_for_a_place_that_nobody_knows_is_set_aside_with_its_line(room):
    lines = [{"sku": "A", "location": at, "quantity": 20, "expected_on": str(DAY)} for at in ("MARS", "DC1")]
    last = await room.publish(told(INCOMING, "i1", 1, {"supply_id": "po-1", "lines": lines}))
    room.start()
    await room.settled(last)
    (letter,) = await room.dead_letters()
    assert letter.headers["atp-reason"] == "unknown-location"
    assert letter.headers["atp-detail"] == "1 of 2 lines refused: lines[0]: location 'MARS' is not known"
    (stock,) = await room.ledger.availability(["A"], Asked())
    assert stock.atp == [(str(DAY), 20)]


async def test_a_delivery_that_did_not_come_is_told_of_once(room):
    lines = [{"sku": sku, "location": "DC1", "quantity": 5, "expected_on": day} for sku, day in DUE.items()]
    last = await room.publish(told(INCOMING, "i1", 1, {"supply_id": "po-1", "lines": lines}))
    room.start()
    await room.settled(last)
    watcher = Watcher(room.ledger, room.settings)
    assert [await watcher.run_once(), await watcher.run_once()] == [1, 0]
    entries = await room.ledger.read_entries(0, 0, 1_000)
    (raised,) = [entry for entry in entries if isinstance(entry, ExceptionRaised) and entry.kind == "supply-overdue"]
    assert (raised.sku, raised.location, raised.reservation) == ("A", "DC1", "po-1")
    assert raised.detail == f"5 units expected on {DUE['A']} by wms"
    line = {"sku": "A", "location": "DC1", "quantity": 5}
    await room.settled(await room.publish(told(RECEIVED, "r1", 2, {"supply_id": "po-1", "lines": [line]})))
    (over,) = [e for e in await room.ledger.read_entries(0, raised.seq, 1_000) if isinstance(e, ExceptionResolved)]
    assert (over.raised, over.resolution) == (raised.seq, "over")


async def test_a_touch_changes_no_number_and_calls_it_stale_when_nobody_fetched_it(room):
    await room.ledger.put_policy(PutPolicy("source", "wms", '{"kind":"wms","stale_after_seconds":1}'))
    last = await room.publish(
        feed.level("wms", "l1", [("A", "DC1", 4)], sequence=1),
        told(TOUCH, "t1", 2, {"sku": "A", "location": "DC1"}),
    )
    room.start()
    await room.settled(last)
    assert await room.number("A") == 4
    assert (room.consumer.counters.touches, room.consumer.counters.heartbeats) == (1, 0)

    async def stale() -> bool:
        (stock,) = await room.ledger.availability(["A"], Asked())
        return stock.locations[0].sources[0].stale

    await wait_until_async(stale, 10, "the number is stale")
    await room.settled(await room.publish(feed.level("wms", "l2", [("A", "DC1", 3)], sequence=2)))
    assert not await stale()
    assert await room.reasons() == []
