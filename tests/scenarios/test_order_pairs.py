"""Two events of one position, at least one about an order or a return, end in the same state in either order of
arrival, and told again they leave it so. What they must end in is written down here from the versions alone.

The older of two is told at v5 and the newer at v7, above a level of 40 at v1, at both measures. Different events are
about one order of 4, and the same event twice about one each.
"""

from itertools import product

import pytest

from atp.domain import commands as c
from atp.domain.outcomes import Outcome
from tests.scenarios.table import Table

PLAIN = {
    "level": "level {sku}@DC1 5{n} v{v} at 0",
    "delta": "delta {sku}@DC1 -{n} v{v} d{n}",
    "status": "status {sku}@DC1 {n} v{v}",
}
ORDERS = {
    "shipped": "fulfilled {order} {sku}:2@DC1 v{v} s{n}{order} shipment {parcel}",
    "shipped by others": "fulfilled {order} {sku}:2@DC1 v{v} o{n}{order} shipment {parcel} by oms",
    "acknowledged": "acknowledged {order} {sku}:4@DC1 v{v} a{n}{order}",
    "short": "cancelled {order} {sku}:1@DC1! v{v} c{n}{order}",
    "cancelled": "cancelled {order} {sku}:1@DC1 v{v} k{n}{order}",
    "returned": "returned {sku}@DC1 {n} v{v} r{n}",
    "unfit": "returned {sku}@DC1 {n} v{v} u{n} unfit",
}
EVENTS = PLAIN | ORDERS
PAIRS = [pair for pair in product(EVENTS, EVENTS) if set(pair) & set(ORDERS)]

#: sku → whether the newer comes first, and whether both come in one batch.
ARRIVALS = {"A": (False, False), "B": (True, False), "C": (False, True), "D": (True, True)}
VERSIONS = (5, 7)


@pytest.mark.parametrize("measure", ["on_hand", "available"])
@pytest.mark.parametrize("pair", PAIRS, ids=" then ".join)
def test_a_pair_ends_the_same_in_either_order(table: Table, pair: tuple[str, str], measure: str) -> None:
    table.line(f'source wms {{"kind":"wms","measure":"{measure}"}}')
    states = []
    for sku, (newer_first, together) in ARRIVALS.items():
        table.line(f"level {sku}@DC1 40 v1 at 0")
        for order in "XY":
            table.run(f"reserve r{order}{sku} {sku}:4 order {order}{sku}\nconfirm r{order}{sku}")
        commands = told(table, sku, pair)
        arriving = commands[::-1] if newer_first else commands
        for batch in [arriving] if together else [[each] for each in arriving]:
            table.apply(batch)
        free, committed = expected(pair, measure)
        table.line(f"= {sku}@DC1 {free} 0 {committed}")
        states.append(state_of(table, sku))
        for again in (commands, commands[::-1]):
            results = table.apply(again)[0]
            assert Outcome.APPLIED not in [result.outcome for result in results]
        assert state_of(table, sku) == states[-1]
    assert states == states[:1] * len(states)


def told(table: Table, sku: str, pair: tuple[str, str]) -> list[c.Command]:
    """Both commands: different events of one order, or the same event of two."""
    found = []
    for n, (kind, v) in enumerate(zip(pair, VERSIONS, strict=True), 1):
        other = n == 2 and pair[0] == pair[1]
        order, parcel = f"{'Y' if other else 'X'}{sku}", 8 if other else 7
        word, *rest = EVENTS[kind].format(sku=sku, n=n, v=v, order=order, parcel=parcel).split()
        found.append(table.command(word, rest))
    return found


def expected(pair: tuple[str, str], measure: str) -> tuple[int, int]:
    """Free and committed units."""
    number, level_version, unsellable, committed, shipped, missing = 40, 1, 0, 8, 0, 0
    events = list(zip((1, 2), pair, VERSIONS, strict=True))
    one_parcel = set(pair) == {"shipped", "shipped by others"}
    for n, kind, version in events:
        match kind:
            case "level":
                number, level_version, missing = 50 + n, version, 0
            case "delta":
                number -= n
            case "status":
                unsellable = n
            case "shipped":
                number, committed = number - 2, committed - 2
            case "shipped by others" if not one_parcel:
                shipped, committed = shipped + 2, committed - 2
            case "short":
                missing, committed = missing + 1, committed - 1
            case "cancelled":
                committed -= 1
            case "returned":
                number += n
            case "unfit":
                number, unsellable = number + (n if measure == "on_hand" else 0), unsellable + n
    taken = sum({"shipped": 2, "shipped by others": 2, "short": 1, "cancelled": 1}.get(kind, 0) for kind in pair)
    included = [v for kind, v in zip(pair, VERSIONS, strict=True) if kind == "acknowledged" and v <= level_version]
    counted = len(included) * (4 - taken)
    free = number - committed - shipped - missing
    return free + (counted if measure == "available" else -unsellable), committed


def state_of(table: Table, sku: str) -> tuple:
    """All that the ledger keeps of a sku's stock and its orders, without the times of changes and who told first."""
    state = table.law.dump()
    *position, aside = state["positions"][sku, "DC1"]
    recent = [item for (name, *_), item in state["recent"].items() if name == sku]
    units = [x.allocations for order in "XY" for x in state["reservations"][f"r{order}{sku}"]["lines"]]
    return position, sorted((*x[:-1], len(x[-1])) for x in aside), sorted(recent), units


MEASURED = 'source wms {"kind":"wms","measure":"available"}\n'


@pytest.mark.parametrize("newer_first", [False, True])
def test_a_shipment_and_the_level_that_includes_its_order_in_either_order(table: Table, newer_first: bool) -> None:
    table.run(MEASURED + "level A@DC1 10 v1\nreserve r1 A:4 order X\nconfirm r1")
    lines = ["level A@DC1 6 v5 includes X", "fulfilled X A:4@DC1 v7 e7"]
    for line in lines[::-1] if newer_first else lines:
        table.line(line)
    table.run("= A@DC1 6 0 0\nlevel A@DC1 6 v8\n= A@DC1 6 0 0")
