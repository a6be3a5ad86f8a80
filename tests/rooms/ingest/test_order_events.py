"""Events about orders, from the stream to the ledger: every way in which one can be wrong, and what each one does."""

import json

import pytest

from atp.domain.commands import Change, Confirm, PutPolicy, Reserve, ReserveLine, TakeBack, TellOrder
from atp.domain.ids import digest53, partition_of, reservation_id, shipment_digest
from atp.domain.order_commands import OrderLine
from atp.domain.outcomes import Outcome
from atp.ingest import Event, feed
from atp.ingest.events import ACKNOWLEDGED, CANCELLED, FULFILLED, RETURNED
from tests.rooms.ingest.room import Room, open_ledger
from tests.rooms.ingest.sent import LINE, binary, decode, rejected

ID = reservation_id("shop", "k1", "A")
BACK = LINE | {"sellable": True}


def test_an_order_event_is_one_command_with_its_lines_summed():
    lines = [LINE, {"sku": "B", "quantity": 2}, LINE | {"quantity": 1}]
    data = {"order_ref": "X", "lines": lines, "shipment": "S-1", "complete": True}
    assert decode(binary(FULFILLED, data)) == [
        TellOrder(
            "fulfilled", "", "wms-east", "X", "sequence", (0, 42), "STOCK/0", 7, 0, digest53("wms-east", "e-1"),
            [OrderLine("TSHIRT-M", 6, "DC1"), OrderLine("B", 2)], shipment_digest("S-1"), True, "event=e-1",
        )
    ]  # fmt: skip


def test_what_was_not_on_the_shelf_is_kept_apart():
    lines = [LINE | {"reason": "short"}, LINE | {"reason": "customer"}, LINE]
    (command,) = decode(binary(CANCELLED, {"reservation": ID, "lines": lines}))
    assert (command.reservation, command.order) == (ID, "")
    assert command.lines == [OrderLine("TSHIRT-M", 5, "DC1", True), OrderLine("TSHIRT-M", 10, "DC1")]


def test_no_lines_are_all_of_it():
    (command,) = decode(binary(ACKNOWLEDGED, {"order_ref": "X"}))
    assert (command.what, command.lines, command.shipment, command.complete) == ("acknowledged", [], 0, False)


def test_a_return_becomes_a_command_per_line():
    first, second = decode(binary(RETURNED, {"order_ref": "X", "lines": [BACK, BACK | {"sellable": False}]}))
    assert first == TakeBack(
        "TSHIRT-M", "DC1", "wms-east", 5, "sequence", (0, 42), "STOCK/0", 7, 0,
        digest53("wms-east", "e-1", "0"), True, "X", "event=e-1",
    )  # fmt: skip
    assert (second.sellable, second.event) == (False, digest53("wms-east", "e-1", "1"))


def test_a_level_may_name_the_orders_it_counts():
    (command,) = decode(binary(data={"lines": [LINE | {"includes": {"orders": ["X", "Y"]}}]}))
    assert command.includes == ["X", "Y"]


def order(type=FULFILLED, **fields: object):
    whole = {"order_ref": "X"} | fields
    return binary(type, {name: value for name, value in whole.items() if value is not None})


POISON = {
    "nobody named": (order(order_ref=None), "invalid-data", "either an order_ref or a reservation"),
    "both named": (order(reservation=ID), "invalid-data", "either an order_ref or a reservation"),
    "no such reservation": (order(order_ref=None, reservation="r1"), "invalid-identifier", "$.reservation"),
    "empty order": (order(order_ref=""), "invalid-data", "$.order_ref"),
    "long order": (order(order_ref="x" * 129), "invalid-data", "length <= 128"),
    "NUL in the order": (order(order_ref="a\0"), "invalid-identifier", "$.order_ref has the control"),
    "no lines": (order(lines=[]), "invalid-data", "$.lines"),
    "1,001 lines": (order(lines=[LINE] * 1001), "invalid-data", "$.lines"),
    "nothing shipped": (order(lines=[LINE | {"quantity": 0}]), "invalid-data", "$.lines[0].quantity"),
    "fraction": (order(lines=[LINE | {"quantity": 0.5}]), "invalid-data", "Expected `int`"),
    "too many": (order(lines=[LINE | {"quantity": 10**9 + 1}]), "invalid-data", "$.lines[0].quantity"),
    "NUL in a sku": (order(lines=[LINE | {"sku": "a\0"}]), "invalid-identifier", "$.lines[0].sku"),
    "not NFC": (order(lines=[LINE | {"location": "e\u0301"}]), "invalid-identifier", "$.lines[0].location is not"),
    "reason of a shipment": (order(lines=[LINE | {"reason": "short"}]), "invalid-data", "$.lines[0].reason is said"),
    "strange reason": (order(CANCELLED, lines=[LINE | {"reason": "bored"}]), "invalid-data", "$.lines[0].reason"),
    "shipment of a cancellation": (order(CANCELLED, shipment="S"), "invalid-data", "$.shipment is said of what is ful"),
    "complete acknowledgement": (order(ACKNOWLEDGED, complete=True), "invalid-data", "$.complete is said of what is"),
    "NUL in the shipment": (order(shipment="\0"), "invalid-identifier", "$.shipment has the control"),
    "complete as text": (order(complete="yes"), "invalid-data", "$.complete"),
    "no version": (binary(FULFILLED, {"order_ref": "X"}, ce_sequence=None), "version-missing", "neither"),
    "key twice": (binary(FULFILLED, b'{"order_ref":"X","order_ref":"Y"}'), "invalid-json", "'order_ref' stands twice"),
    "return of nothing": (binary(RETURNED, {"lines": [BACK | {"quantity": 0}]}), "invalid-data", "quantity"),
    "return to nowhere": (binary(RETURNED, {"lines": [{"sku": "A", "quantity": 1}]}), "invalid-data", "`location`"),
    "return, sellable or not": (binary(RETURNED, {"lines": [LINE]}), "invalid-data", "`sellable`"),
    "return, key twice": (
        binary(RETURNED, b'{"lines":[{"sku":"a","sku":"b","location":"b","quantity":1,"sellable":true}]}'),
        "invalid-json",
        "'sku' stands twice",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", POISON)
def test_poison_is_refused_with_reason_and_place(name):
    message, reason, detail = POISON[name]
    found, text = rejected(message)
    assert found == reason
    assert detail in text


def told(type: str, id: str, sequence: int, data: dict) -> Event:
    return Event("wms", id, type, json.dumps(data).encode(), sequence)


async def sell(room: Room, key: str, order_ref: str, *lines: tuple[str, int, str], confirm: bool = True) -> str:
    """A committed reservation; its id."""
    wanted = [ReserveLine(str(n), sku, quantity, at) for n, (sku, quantity, at) in enumerate(lines)]
    id = reservation_id("shop", key, min(line.sku for line in wanted))
    asked = Reserve(id, 1, "shop", "web", "", "", "", "", 600_000, wanted)
    (held,) = await room.ledger.apply([asked])
    assert held.outcome is Outcome.APPLIED
    if confirm:
        (done,) = await room.ledger.apply([Confirm(id, Change(digest53(key), 1), order_ref, [])])
        assert done.outcome is Outcome.APPLIED, "it was just held"
    return id


async def free(room: Room, sku: str, location: str = "DC1") -> int:
    (stock,) = await room.ledger.availability([sku])
    return next(at.balance.free for at in stock.locations if at.balance.location == location)


@pytest.mark.anyio
async def test_an_order_is_shipped_short_and_closed(room):
    room.start()
    await room.settled(await room.publish(feed.level("wms", "l1", [("A", "DC1", 10)], sequence=1)))
    id = await sell(room, "k1", "X", ("A", 4, "DC1"))
    line = {"sku": "A", "location": "DC1", "quantity": 3}
    shipped = told(FULFILLED, "f1", 2, {"order_ref": "X", "lines": [line], "shipment": "S", "complete": True})
    again = Event("wms", "f1", FULFILLED, shipped.data, 2, headers={"Nats-Msg-Id": "again"})
    await room.settled(await room.publish(shipped, again))
    record = await room.ledger.reservation(id)
    assert record
    (a,) = record.lines[0].allocations
    assert (record.state, a.fulfilled, a.released) == ("fulfilled", 3, 1)
    (stock,) = await room.ledger.availability(["A"])
    b = stock.locations[0].balance
    assert (b.number, b.committed, b.set_aside, b.free) == (7, 0, 1, 6)
    assert room.consumer.counters.events == {"applied": 2, "duplicate": 1}
    await room.settled(await room.publish(feed.level("wms", "l2", [("A", "DC1", 6)], sequence=3)))
    assert await free(room, "A") == 6


@pytest.mark.anyio
async def test_an_acknowledgement_that_overtakes_its_level_sells_nothing_twice(room):
    await room.ledger.put_policy(PutPolicy("source", "wms", '{"kind":"wms","measure":"available"}'))
    room.start()
    await room.settled(await room.publish(feed.level("wms", "l1", [("A", "DC1", 10)], sequence=1)))
    await sell(room, "k1", "X", ("A", 4, "DC1"))
    await room.settled(await room.publish(told(ACKNOWLEDGED, "a1", 2, {"order_ref": "X"})))
    assert await free(room, "A") == 6
    await room.settled(await room.publish(feed.level("wms", "l2", [("A", "DC1", 6)], sequence=3)))
    assert await free(room, "A") == 6
    await sell(room, "k2", "Y", ("A", 1, "DC1"))
    lines = [{"sku": "A", "location": "DC1", "quantity": 5, "includes": {"orders": ["Y"]}}]
    await room.settled(await room.publish(told(feed.LEVEL, "l3", 4, {"lines": lines})))
    assert await free(room, "A") == 5


@pytest.mark.anyio
async def test_a_shipment_before_its_order_waits_for_it(room):
    room.start()
    line = {"sku": "A", "location": "DC1", "quantity": 4}
    last = await room.publish(
        feed.level("wms", "l1", [("A", "DC1", 10)], sequence=1),
        told(FULFILLED, "f1", 2, {"order_ref": "X", "lines": [line]}),
        told(RETURNED, "b1", 3, {"order_ref": "X", "lines": [line | {"quantity": 1, "sellable": False}]}),
    )
    await room.settled(last)
    assert await free(room, "A") == 6
    id = await sell(room, "k1", "X", ("A", 4, "DC1"))
    record = await room.ledger.reservation(id)
    assert record
    assert record.state == "fulfilled"
    assert await free(room, "A") == 6


@pytest.mark.anyio
async def test_an_event_with_a_place_that_nobody_knows_changes_nothing(room):
    room.start()
    await room.settled(await room.publish(feed.level("wms", "l1", [("A", "DC1", 10)], sequence=1)))
    await sell(room, "k1", "X", ("A", 4, "DC1"))
    lines = [{"sku": "A", "location": at, "quantity": 1} for at in ("DC1", "MARS")]
    await room.settled(await room.publish(told(FULFILLED, "f1", 2, {"order_ref": "X", "lines": lines})))
    (letter,) = await room.dead_letters()
    assert letter.headers["atp-reason"] == "unknown-location"
    assert letter.headers["atp-detail"] == "nothing of it was applied: location 'MARS' is not known"
    (stock,) = await room.ledger.availability(["A"])
    assert stock.locations[0].balance.committed == 4


@pytest.fixture
async def wide(room, valkey, namespace):
    """The same room over eight partitions."""
    room.ledger, one = await open_ledger(valkey, f"{namespace}w", partitions=8), room.ledger
    yield room
    await room.kill()
    await room.ledger.close()
    room.ledger = one


def apart() -> tuple[str, str]:
    """Two skus of different partitions, the first of which is home to a basket of both."""
    first = "A"
    return first, next(sku for n in range(99) if partition_of(sku := f"B{n}", 8) != partition_of(first, 8))


@pytest.mark.anyio
async def test_over_partitions_stock_and_order_each_hear_of_it_once(wide):
    here, there = apart()
    wide.start()
    levels = feed.level("wms", "l1", [(here, "DC1", 10), (there, "DC1", 10)], sequence=1)
    await wide.settled(await wide.publish(levels))
    id = await sell(wide, "k1", "X", (here, 4, "DC1"), (there, 3, "DC1"))
    lines = [{"sku": sku, "location": "DC1", "quantity": 2} for sku in (here, there)]
    shipped = told(FULFILLED, "f1", 2, {"order_ref": "X", "lines": lines})
    again = Event("wms", "f1", FULFILLED, shipped.data, 2, headers={"Nats-Msg-Id": "again"})
    await wide.settled(await wide.publish(shipped, again))
    assert wide.consumer.counters.events == {"applied": 3, "duplicate": 1}
    record = await wide.ledger.reservation(id)
    assert [a.fulfilled for line in record.lines for a in line.allocations] == [2, 2]
    await wide.ledger.spanning.following.sweep()
    for sku, committed in ((here, 2), (there, 1)):
        (stock,) = await wide.ledger.availability([sku])
        b = stock.locations[0].balance
        assert (b.number, b.committed, b.shipped_uncounted) == (8, committed, 0)


@pytest.mark.anyio
async def test_over_partitions_a_whole_order_is_told_at_its_home(wide):
    here, there = apart()
    wide.start()
    levels = feed.level("wms", "l1", [(here, "DC1", 10), (there, "DC1", 10)], sequence=1)
    await wide.settled(await wide.publish(levels))
    id = await sell(wide, "k1", "X", (here, 4, "DC1"), (there, 3, "DC1"))
    await wide.settled(await wide.publish(told(FULFILLED, "f1", 2, {"reservation": id})))
    record = await wide.ledger.reservation(id)
    assert record.state == "fulfilled"
    await wide.ledger.spanning.following.sweep()
    assert (await free(wide, here), await free(wide, there)) == (6, 7)


@pytest.mark.anyio
async def test_over_partitions_a_shipment_waits_where_its_order_will_be(wide):
    here, there = apart()
    wide.start()
    lines = [{"sku": sku, "location": "DC1", "quantity": 2} for sku in (there, here)]
    last = await wide.publish(
        feed.level("wms", "l1", [(here, "DC1", 10), (there, "DC1", 10)], sequence=1),
        told(FULFILLED, "f1", 2, {"order_ref": "X", "lines": lines}),
        told(FULFILLED, "f2", 3, {"order_ref": "Y", "lines": [lines[0] | {"location": "MARS"}, lines[1]]}),
    )
    await wide.settled(last)
    assert await wide.reasons() == ["unknown-location"]
    assert (await free(wide, here), await free(wide, there)) == (8, 8)
    id = await sell(wide, "k1", "X", (here, 2, "DC1"), (there, 2, "DC1"))
    record = await wide.ledger.reservation(id)
    assert record.state == "fulfilled"
    await wide.ledger.spanning.following.sweep()
    assert (await free(wide, here), await free(wide, there)) == (8, 8)
