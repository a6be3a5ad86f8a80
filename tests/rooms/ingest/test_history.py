"""One history with every kind of event ends in one state, in whatever order it arrives, repeated and read again.

What sources are free in (CONTRACT "NATS", R8, R9, R13, R14): any order, any number of times. Versions are all
different, since equal ones are told apart by their order; a delivery is announced by one source; and what is told of an
order does not take more than it has, or who comes first would take it.
"""

import asyncio
import json
from collections.abc import Sequence
from datetime import date, timedelta
from random import Random
from typing import Any

import pytest
from msgspec import structs

from atp.domain.commands import Change, Confirm, PutPolicy, Reserve, ReserveLine
from atp.domain.ids import reservation_id
from atp.domain.outcomes import Outcome
from atp.domain.state import State
from atp.ingest import Consumer, Event, Settings, ensure_streams, feed
from atp.ingest import events as kinds
from atp.ledger import keys, records
from atp.ledger.connection import connect
from tests.rooms.ingest.room import Room, open_ledger
from tests.rooms.ingest.test_snapshots import sweep

pytestmark = pytest.mark.anyio

SKUS = ("A", "B", "C")
PLACES = ("DC1", "DC2")
ORDERS = [f"{sku}-{at}-{n}" for sku in SKUS for at in PLACES for n in range(3)]
UNITS = 4

#: What is told of one order: no more than it has.
TOLD = (
    (kinds.FULFILLED, {"quantity": 2}, {"complete": False}),
    (kinds.FULFILLED, {"quantity": 1}, {}),
    (kinds.CANCELLED, {"quantity": 1}, {}),
    (kinds.CANCELLED, {"quantity": 1, "reason": "short"}, {}),
    (kinds.ACKNOWLEDGED, {"quantity": UNITS}, {}),
)


def base() -> list[Event]:
    """What is known before: a level of every position."""
    lines = [(sku, at, 40) for sku in (*SKUS, "OLD") for at in PLACES]
    return [feed.level(source, f"base-{source}", lines, sequence=1) for source in ("wms", "erp")]


def history(draw: Random, count: int, counted: bool) -> list[Event]:
    """Events of every kind; the sequences of each source are all different.

    ``counted``: at the end everything is counted once more. Without, what is only exact until the next count is left
    out: orders that a source both counts and ships, and several units of one position that are set aside.
    """
    orders = {order: draw.sample(TOLD if counted else TOLD[:3], 2) for order in ORDERS}
    if not counted:
        orders |= {order: [TOLD[-1]] for order in ORDERS if order.endswith("-2")}
    net_of = [1, 2] if counted else [2]
    aside: set[tuple[str, ...]] = set()
    found: list[Event] = []
    for n in range(2, count + 2):
        sku, at, source = draw.choice(SKUS), draw.choice(PLACES), draw.choice(["wms", "wms", "wms", "erp"])
        line: dict[str, Any] = {"sku": sku, "location": at, "quantity": draw.randrange(1, 30)}
        day = str(date.today() + timedelta(days=draw.randrange(2, 5)))
        sellable = draw.random() < 0.5 or (not counted and (sku, at, source) in aside)
        kind, data = draw.choice(
            [
                (kinds.LEVEL, {"lines": [line | {"quantity": draw.randrange(-5, 60)}]}),
                ("net", {"lines": [line | {"includes": {"orders": [f"{sku}-{at}-{draw.choice(net_of)}"]}}]}),
                (kinds.DELTA, {"lines": [line | {"quantity": draw.choice([-3, -1, 2, 9])}]}),
                (kinds.DELTA, {"lines": [line, line | {"quantity": -2}]}),
                (kinds.STATUS, {"lines": [{"sku": sku, "location": at, "unsellable": draw.randrange(5)}]}),
                (kinds.INCOMING, {"supply_id": f"po-{source}", "lines": [line | {"expected_on": day}]}),
                (kinds.RECEIVED, {"supply_id": f"po-{draw.choice(['wms', 'erp'])}", "lines": [line]}),
                (kinds.RETURNED, {"lines": [line | {"sellable": sellable}]}),
                (kinds.TOUCH, {"sku": sku} | ({"location": at} if draw.random() < 0.5 else {})),
                (kinds.HEARTBEAT, {}),
                ("order", {}),
            ]
        )
        if kind == kinds.RETURNED and not sellable:
            aside.add((sku, at, source))
        if kind == "net":  # by the source that may measure what is available, of the orders that it packs itself
            kind, source = kinds.LEVEL, "wms"
        if kind == "order":
            order = draw.choice(ORDERS)
            if not orders[order]:
                continue
            kind, part, more = orders[order].pop()
            sku, at, number = order.split("-")
            source = "erp" if number == "0" else "wms"  # one of them picks and packs it
            data = {"order_ref": order, "lines": [{"sku": sku, "location": at} | part]} | more
        found.append(Event(source, f"e{n}", kind, json.dumps(data).encode(), sequence=n))
    as_of = draw.randrange(2, count)
    lines = [("A", "DC1", 17), ("B", "DC1", 3)]
    found += [
        feed.snapshot("wms", "night", lines[part : part + 1], part=part + 1, parts=2, locations=["DC1"], as_of=as_of)
        for part in range(2)
    ]
    return found + (count_once_more(count + 5) if counted else [])


def count_once_more(sequence: int) -> list[Event]:
    """Both sources count every position."""
    lines = [{"sku": sku, "location": at} for sku in SKUS for at in PLACES]
    found = []
    for source in ("wms", "erp"):
        levels = json.dumps({"lines": [line | {"quantity": 30} for line in lines]}).encode()
        statuses = json.dumps({"lines": [line | {"unsellable": 2} for line in lines]}).encode()
        found.append(Event(source, "last-level", kinds.LEVEL, levels, sequence=sequence))
        found.append(Event(source, "last-status", kinds.STATUS, statuses, sequence=sequence))
    return found


def arriving(draw: Random, events: Sequence[Event]) -> list[Event]:
    """In another order, and some of them more than once: sent again by somebody who did not hear that they came."""
    again = [
        structs.replace(event, headers={"Nats-Msg-Id": f"again-{event.id}-{n}"})
        for n in range(2)
        for event in draw.sample(events, len(events) // 3)
    ]
    return draw.sample([*events, *again], len(events) + len(again))


async def play(url: str, room: Room, events: Sequence[Event], measure: str, kills: int) -> dict[str, Any]:
    """What the ledger has after all of it; the reader dies now and then."""
    policy = f'{{"kind":"wms","measure":"{measure}","full_guard_percent":100}}'
    await room.ledger.put_policy(PutPolicy("source", "wms", policy))
    room.start()
    await room.settled(await room.publish(*base()))
    for order in ORDERS:
        sku, at, n = order.split("-")
        id = reservation_id("shop", order, sku)
        lines = [ReserveLine("1", sku, UNITS, at)]
        await room.ledger.submit(Reserve(id, 1, "shop", "web", "", order, "", "", 0, lines))
        sold = await room.ledger.submit(Confirm(id, Change(7 + int(n), 1), "", [], "shop"))
        assert sold.outcome is Outcome.APPLIED
    size, last = len(events) // (kills + 1) + 1, 0
    for start in range(0, len(events), size):
        last = await room.publish(*events[start : start + size])
        if start + size < len(events):
            await room.kill()
            room.start()
    await room.settled(last)
    assert await room.reasons() == []
    await sweep(room)
    await room.finish()
    return facts(await state_of(url, room))


async def state_of(url: str, room: Room) -> State:
    connection = await connect(url)
    try:
        prefix = keys.prefix(room.ledger.settings.namespace, 0)
        return records.decode([page async for page in records.read(connection.ask, prefix)])
    finally:
        await connection.end()


def facts(state: State) -> dict[str, Any]:
    """What the order of arrival must not change: all but clocks, and places in streams and in the ledger's own log."""
    found: dict[str, Any] = {}
    for sku, item in state.skus.items():
        for at, p in item.positions.items():
            place = f"{sku}@{at}"
            found[place] = (p.held, p.committed, sum(p.shipped.values()))
            found |= {f"{place} {day}": (x.quantity, x.pegged, x.due) for day, x in p.supply.items()}
            for x in p.aside:
                name = f"{place} {x.kind} by {x.source}"
                found[name] = found.get(name, 0) + x.units
            for source, n in p.sources.items():
                found[f"{place} by {source}"] = (n.number, n.version, n.included, n.touched[1:])
                found[f"{place} status by {source}"] = (n.unsellable, n.status[:3])
                found[f"{place} changes by {source}"] = n.recent
    for supply, x in state.supplies.items():
        found[" ".join(supply)] = (x.day, x.quantity, x.received)
    for id, r in state.reservations.items():
        found[id] = [
            (a.location, a.held, a.committed, a.acknowledged, a.fulfilled, a.released)
            for line in r.lines for a in line.allocations
        ]  # fmt: skip
    return found


@pytest.mark.parametrize("counted", [False, True], ids=["open", "counted"])
@pytest.mark.parametrize(
    ("seed", "count", "measure"),
    [
        (1, 60, "available"),
        *(
            pytest.param(seed, 250, measure, marks=pytest.mark.soak)
            for seed in range(2, 30)
            for measure in ("on_hand", "available")
        ),
    ],
)
async def test_all_kinds_of_events_end_alike_in_any_order(
    valkey: str, nc: Any, namespace: str, settings: Settings, seed: int, count: int, measure: str, counted: bool
) -> None:
    draw = Random(f"{seed} {measure}")
    events = history(draw, count, counted)
    ends = []
    for arrival, sent in enumerate([events, arriving(draw, events)]):
        named = structs.replace(
            settings, stream=f"{settings.stream}-{arrival}", raw=f"{settings.raw}-{arrival}",
            dead_letters=f"{settings.dead_letters}-{arrival}", root=f"{settings.root}-{arrival}",
        )  # fmt: skip
        ledger = await open_ledger(valkey, f"{namespace}-{arrival}")
        await ensure_streams(nc.jetstream(), named)
        room = Room(nc, ledger, named, Consumer(nc, ledger, named), asyncio.Event())
        try:
            ends.append(await play(valkey, room, sent, measure, kills=2 * arrival))
        finally:
            await room.kill()
            await ledger.close()
    first, second = ends
    names = [name for name in {**first, **second} if first.get(name) != second.get(name)]
    assert {name: (first.get(name), second.get(name)) for name in names} == {}
