"""One history with every kind of event ends in one state, in whatever order it arrives, repeated and read again.

What sources are free in (CONTRACT "NATS", R8, R9, R13, R14): any order, any number of times. Versions of a source are
all different, since equal ones are told apart by their order. Sources tell of the same orders, shipments twice, around
levels that name them, announce the same deliveries, and set units aside. What comes first may only decide who gets
units of an order of which more is told than it has (ADR 8): what sources count is the same even then, and free units
are from the next count on that shows what others shipped.
"""

import asyncio
import json
from collections.abc import Sequence
from copy import deepcopy
from datetime import date, timedelta
from random import Random
from typing import Any

import pytest
from msgspec import structs

from atp.domain.commands import Change, Confirm, PutPolicy, Reserve, ReserveLine
from atp.domain.ids import reservation_id
from atp.domain.outcomes import Outcome
from atp.domain.records import Version
from atp.domain.rules.batch import Batch
from atp.domain.state import State
from atp.ingest import Consumer, Event, Settings, ensure_streams, feed
from atp.ingest import events as kinds
from atp.ledger import keys, records
from tests.rooms.ingest.room import Room, open_ledger
from tests.rooms.ingest.test_snapshots import sweep
from tests.support import connected

pytestmark = pytest.mark.anyio

SKUS = ("A", "B", "C")
PLACES = ("DC1", "DC2")
ORDERS = [f"{sku}-{at}-{n}" for sku in SKUS for at in PLACES for n in range(3)]
UNITS = 4

#: What is told of one order: no more than it has, of shipments by each of those who ship.
TOLD = (
    (kinds.FULFILLED, {"quantity": 2}, {"complete": False}),
    (kinds.FULFILLED, {"quantity": 1}, {}),
    (kinds.CANCELLED, {"quantity": 1}, {}),
    (kinds.CANCELLED, {"quantity": 1, "reason": "short"}, {}),
    (kinds.ACKNOWLEDGED, {"quantity": UNITS}, {}),
    (kinds.ACKNOWLEDGED, {"quantity": 2}, {}),
)

SHIPPED, CANCELLED = TOLD[:2], TOLD[2:4]

SOURCES = ("wms", "erp")


def base() -> list[Event]:
    """What is known before: a level of every position."""
    lines = [(sku, at, 40) for sku in (*SKUS, "OLD") for at in PLACES]
    return [feed.level(source, f"base-{source}", lines, sequence=1) for source in ("wms", "erp")]


def history(draw: Random, count: int, contended: bool) -> list[Event]:
    """Events of every kind; the sequences of each source are all different.

    ``contended``: more is told of orders than they have.
    """
    orders = {order: of_one_order(draw, contended) for order in ORDERS}
    found: list[Event] = []
    for n in range(2, count + 2):
        sku, at, source = draw.choice(SKUS), draw.choice(PLACES), draw.choice(["wms", "wms", "wms", "erp"])
        line: dict[str, Any] = {"sku": sku, "location": at, "quantity": draw.randrange(1, 30)}
        day = str(date.today() + timedelta(days=draw.randrange(2, 5)))
        kind, data = draw.choice(
            [
                (kinds.LEVEL, {"lines": [line | {"quantity": draw.randrange(-5, 60)}]}),
                (kinds.LEVEL, {"lines": [line | {"includes": {"orders": [f"{sku}-{at}-{draw.randrange(3)}"]}}]}),
                (kinds.DELTA, {"lines": [line | {"quantity": draw.choice([-3, -1, 2, 9])}]}),
                (kinds.DELTA, {"lines": [line, line | {"quantity": -2}]}),
                (kinds.STATUS, {"lines": [{"sku": sku, "location": at, "unsellable": draw.randrange(5)}]}),
                (kinds.INCOMING, {"supply_id": f"po-{draw.randrange(2)}", "lines": [line | {"expected_on": day}]}),
                (kinds.RECEIVED, {"supply_id": f"po-{draw.randrange(2)}", "lines": [line]}),
                (kinds.RETURNED, {"lines": [line | {"sellable": draw.random() < 0.5}]}),
                (kinds.TOUCH, {"sku": sku} | ({"location": at} if draw.random() < 0.5 else {})),
                (kinds.HEARTBEAT, {}),
                ("order", {}),
                ("order", {}),
                ("order", {}),
            ]
        )
        if kind == "order":
            order = draw.choice(ORDERS)
            if not orders[order]:
                continue
            source, (kind, part, more) = orders[order].pop()
            sku, at, _ = order.split("-")
            data = {"order_ref": order, "lines": [{"sku": sku, "location": at} | part]} | more
        found.append(Event(source, f"e{n}", kind, json.dumps(data).encode(), sequence=2 * n))
    as_of = 2 * draw.randrange(2, count) + 1  # no level has the same version
    lines = [("A", "DC1", 17), ("B", "DC1", 3)]
    return found + [
        feed.snapshot("wms", "night", lines[part : part + 1], part=part + 1, parts=2, locations=["DC1"], as_of=as_of)
        for part in range(2)
    ]


def count_once_more(sequence: int) -> list[Event]:
    """Both sources count every position, net of all orders."""
    lines = [
        {"sku": sku, "location": at, "quantity": 30, "includes": {"orders": [f"{sku}-{at}-{n}" for n in range(3)]}}
        for sku in SKUS
        for at in PLACES
    ]
    data = json.dumps({"lines": lines}).encode()
    return [Event(source, "last", kinds.LEVEL, data, sequence=sequence) for source in SOURCES]


def of_one_order(draw: Random, contended: bool) -> list[tuple[str, tuple[str, dict[str, Any], dict[str, Any]]]]:
    """What its sources tell of an order: each of two all that left, and one of them what did not."""
    if contended:
        return [(draw.choice(SOURCES), told) for told in draw.choices(TOLD, k=5)]
    told = [(source, draw.choice(SHIPPED)) for source in SOURCES]
    told += [(draw.choice(SOURCES), draw.choice(CANCELLED)) for _ in range(draw.randrange(3))]
    told += [(draw.choice(SOURCES), acknowledged) for acknowledged in TOLD[4:]]
    return draw.sample(told, len(told))


def arriving(draw: Random, events: Sequence[Event]) -> list[Event]:
    """In another order, and some of them more than once: sent again by somebody who did not hear that they came."""
    again = [
        structs.replace(event, headers={"Nats-Msg-Id": f"again-{event.id}-{n}"})
        for n in range(2)
        for event in draw.sample(events, len(events) // 3)
    ]
    return draw.sample([*events, *again], len(events) + len(again))


async def play(url: str, room: Room, events: Sequence[Event], last: Sequence[Event], measure: str, kills: int) -> State:
    """What the ledger has after all of it; the reader dies now and then."""
    for source in SOURCES:
        policy = f'{{"kind":"wms","measure":"{measure}","full_guard_percent":100}}'
        await room.ledger.put_policy(PutPolicy("source", source, policy))
    room.start()
    await room.settled(await room.publish(*base()))
    for order in ORDERS:
        sku, at, n = order.split("-")
        id = reservation_id("shop", order, sku)
        lines = [ReserveLine("1", sku, UNITS, at)]
        await room.ledger.submit(Reserve(id, 1, "shop", "web", "", order, "", "", 0, lines))
        sold = await room.ledger.submit(Confirm(id, Change(7 + int(n), 1), "", [], "shop"))
        assert sold.outcome is Outcome.APPLIED
    size, settled = len(events) // (kills + 1) + 1, 0
    for start in range(0, len(events), size):
        settled = await room.publish(*events[start : start + size])
        if start + size < len(events):
            await room.kill()
            room.start()
    if last:
        settled = await room.publish(*last)
    await room.settled(settled)
    assert await room.reasons() == []
    await sweep(room)
    await room.finish()
    return await state_of(url, room)


async def state_of(url: str, room: Room) -> State:
    connection = await connected(url)
    try:
        prefix = keys.prefix(room.ledger.settings.namespace, 0)
        return records.decode([page async for page in records.read(connection.ask, prefix)])
    finally:
        await connection.end()


def facts(state: State, contended: bool = False) -> dict[str, Any]:
    """What the order of arrival must not change: all but clocks, and places in streams and in the ledger's own log."""
    found: dict[str, Any] = {}
    batch = Batch(deepcopy(state), state.last_now)
    for sku, item in state.skus.items():
        for at, p in item.positions.items():
            place = f"{sku}@{at}"
            free = [batch.balance_by(sku, at, source).free for source in sorted(p.sources)]
            told = sum(p.shipped.values()) + sum(x.units for x in p.aside if x.kind == "short" and x.source == "erp")
            found[f"{place} free"] = [units + told for units in free] if contended else free
            found |= {f"{place} {day}": (x.quantity, x.pegged, x.due) for day, x in p.supply.items()}
            for x in p.aside:
                if x.kind == "unfit":
                    found[f"{place} unfit by {x.source} {x.version}"] = x.units
            for source, n in p.sources.items():
                found[f"{place} by {source}"] = (n.version, n.touched[1:])
                found[f"{place} status by {source}"] = (n.unsellable, n.status[:3])
                if contended:
                    continue
                found[f"{place} number by {source}"] = (n.number, n.included, n.pending)
                changes: dict[Version, int] = {}
                for version, units in n.recent.values():
                    changes[version] = changes.get(version, 0) + units
                found[f"{place} changes by {source}"] = {v: units for v, units in changes.items() if units}
            if not contended:
                found[place] = (p.held, p.committed, sum(p.shipped.values()))
                found |= {f"{place} {x.kind} by {x.source} {x.version}": x.units for x in p.aside}
    for supply, x in state.supplies.items():
        found[" ".join(supply)] = (x.day, x.quantity, x.received, x.source)
    for id, r in state.reservations.items():
        units = [(a.location, a.held, a.committed) for line in r.lines for a in line.allocations]
        found[id] = units if contended else [
            (a.location, a.held, a.committed, a.acknowledged, a.fulfilled, a.released)
            for line in r.lines for a in line.allocations
        ]  # fmt: skip
    return found


@pytest.mark.parametrize("contended", [False, True], ids=["as much as there is", "more than there is"])
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
    valkey: str, nc: Any, namespace: str, settings: Settings, seed: int, count: int, measure: str, contended: bool
) -> None:
    draw = Random(f"{seed} {measure}")
    events = history(draw, count, contended)
    ends, last = [], count_once_more(2 * count + 5) if contended else []
    for arrival, sent in enumerate([events, arriving(draw, events)]):
        named = structs.replace(
            settings, stream=f"{settings.stream}-{arrival}", raw=f"{settings.raw}-{arrival}",
            dead_letters=f"{settings.dead_letters}-{arrival}", root=f"{settings.root}-{arrival}",
        )  # fmt: skip
        ledger = await open_ledger(valkey, f"{namespace}-{arrival}")
        await ensure_streams(nc.jetstream(), named)
        room = Room(nc, ledger, named, Consumer(nc, ledger, named), asyncio.Event())
        try:
            ends.append(facts(await play(valkey, room, sent, last, measure, kills=2 * arrival), contended))
        finally:
            await room.kill()
            await ledger.close()
    first, second = ends
    names = [name for name in {**first, **second} if first.get(name) != second.get(name)]
    assert {name: (first.get(name), second.get(name)) for name in names} == {}
