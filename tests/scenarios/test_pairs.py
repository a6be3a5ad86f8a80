"""Two events of one position in either order of arrival, in one batch or in two, end in the same state (DESIGN §4),
and redelivered they leave it so.

Of each pair the older is told at v5 and the newer at v7, above a level of 40 at v1, at both measures. What they must
end in is written down here a second time, from the versions alone. A shipment over HTTP has no version: no level of
these pairs is as of later than it, so it stays subtracted, until one that is closes each pair.
"""

from itertools import product

import pytest

from atp.domain import commands as c
from atp.domain.outcomes import Outcome
from tests.scenarios.table import Table

EVENTS = {
    "level": "level {sku}@DC1 5{n} v{version} at 0",
    "delta": "delta {sku}@DC1 -{n} v{version} e{n}",
    "fulfil": "fulfil {order}-{sku} shipment {n}",
    "acknowledge": "acknowledge {order}-{sku} by wms v{version}",
    "status": "status {sku}@DC1 {n} v{version}",
    "incoming": "incoming {sku}@DC1 po1 1{n} d6 v{version}",
    "received": "received {sku}@DC1 po1 {n} v{version} e{n}",
}

#: What the older of two is answered when the newer was there first, unless it is applied.
OVERTAKEN = {
    ("level", "level"): "STALE",
    ("delta", "level"): "INCLUDED",
    ("status", "status"): "STALE",
    ("incoming", "incoming"): "STALE",
}

#: sku → whether the newer comes first, and whether both come in one batch.
ARRIVALS = {"A": (False, False), "B": (True, False), "C": (False, True), "D": (True, True)}

VERSIONS = (5, 7)


@pytest.mark.parametrize("measure", ["on_hand", "available"])
@pytest.mark.parametrize("pair", list(product(EVENTS, EVENTS)), ids=" then ".join)
def test_a_pair_ends_the_same_in_either_order(table: Table, pair: tuple[str, str], measure: str) -> None:
    table.line(f'source wms {{"kind":"wms","measure":"{measure}"}}')
    for sku, (newer_first, together) in ARRIVALS.items():
        table.run(
            f"""
            level {sku}@DC1 40 v1 at 0
            incoming {sku}@DC1 po1 10 d5 v1
            reserve r1-{sku} {sku}:4
            confirm r1-{sku}
            reserve r2-{sku} {sku}:4
            confirm r2-{sku}
            """
        )
        commands = told(table, sku, pair)
        arriving = commands[::-1] if newer_first else commands
        batches = [arriving] if together else [[each] for each in arriving]
        results = [result for batch in batches for result in table.apply(batch)[0]]
        assert [result.outcome.name for result in results] == ["APPLIED", answer(pair, newer_first)]
        free, committed, left = expected(pair, measure)
        table.line(f"= {sku}@DC1 {free} 0 {committed}")
        table.line(f"atp {sku}@DC1 {free} d9 {free + left}")
        before = state_of(table, sku)
        for again in (commands, commands[::-1]):
            results = table.apply(again)[0]
            assert Outcome.APPLIED not in [result.outcome for result in results]
        assert state_of(table, sku) == before
    states = [state_of(table, sku) for sku in ARRIVALS]
    if set(pair) == {"fulfil", "acknowledge"}:  # a call that is refused leaves nothing behind
        states = []
    assert states == states[:1] * len(states)
    table.line("wait 300")
    for sku in ARRIVALS:
        table.line(f"level {sku}@DC1 40 v9 at 300")
        free, committed = closed(pair, measure)
        table.line(f"= {sku}@DC1 {free} 0 {committed}")


def told(table: Table, sku: str, pair: tuple[str, str]) -> list[c.Command]:
    """Both commands: different events of one order, or the same event of two."""
    found = []
    for n, (kind, version) in enumerate(zip(pair, VERSIONS, strict=True), 1):
        order = f"r{n}" if pair[0] == pair[1] else "r1"
        word, *rest = EVENTS[kind].format(sku=sku, n=n, version=version, order=order).split()
        found.append(table.command(word, rest))
    return found


def answer(pair: tuple[str, str], newer_first: bool) -> str:
    """The answer to the second of the two that arrives."""
    arriving = pair[::-1] if newer_first else pair
    if arriving == ("fulfil", "acknowledge"):
        return "NOT_ACTIVE"  # nothing of the order is left to be counted
    return OVERTAKEN.get(pair, "APPLIED") if newer_first else "APPLIED"


def expected(pair: tuple[str, str], measure: str) -> tuple[int, int, int]:
    """Free and committed units, and units still to arrive."""
    number, level_version, unsellable, announced, arrived = 40, 1, 0, 10, 0
    for n, (kind, version) in enumerate(zip(pair, VERSIONS, strict=True), 1):
        match kind:
            case "level":
                number, level_version = 50 + n, version
            case "delta":
                number -= n
            case "received":
                number, arrived = number + n, arrived + n
            case "incoming":
                announced = 10 + n
            case "status":
                unsellable = n
    counted = [v for kind, v in zip(pair, VERSIONS, strict=True) if kind == "acknowledge" and v <= level_version]
    free = number - 8  # committed, or shipped since
    free += 4 * len(counted) if measure == "available" else -unsellable
    return free, 8 - 4 * pair.count("fulfil"), announced - arrived


def closed(pair: tuple[str, str], measure: str) -> tuple[int, int]:
    """Free and committed units once a level of 40 has shown all shipments, deltas and acknowledgements."""
    committed, counted = 8 - 4 * pair.count("fulfil"), 4 * pair.count("acknowledge")
    if "fulfil" in pair:
        counted = 0  # in such a pair the only acknowledged order has left
    unsellable = max((n for n, kind in enumerate(pair, 1) if kind == "status"), default=0)
    return 40 - committed + (counted if measure == "available" else -unsellable), committed


def state_of(table: Table, sku: str) -> tuple:
    """All that the ledger keeps of a sku's stock, without the times of its changes."""
    state = table.law.dump()
    supply = state["supplies"][sku, "DC1", "po1"]
    recent = {event: item for (name, _, _, event), item in state["recent"].items() if name == sku}
    units = {
        order: [line.allocations for line in state["reservations"][f"{order}-{sku}"]["lines"]] for order in ("r1", "r2")
    }
    return state["positions"][sku, "DC1"], (*supply[:6], sorted(supply[6]), *supply[7:]), recent, units


PARTS = {
    "shipments": ("fulfil r1 1:1 shipment 1", "fulfil r1 1:2 shipment 2"),
    "acknowledgements": ("acknowledge r1 1:1 by wms v5", "acknowledge r1 1:2 by wms v7"),
}


@pytest.mark.parametrize("measure", ["on_hand", "available"])
@pytest.mark.parametrize("newer_first", [False, True])
@pytest.mark.parametrize("parts", PARTS)
def test_parts_of_one_order_are_told_in_either_order(table: Table, parts: str, measure: str, newer_first: bool) -> None:
    table.line(f'source wms {{"kind":"wms","measure":"{measure}"}}')
    table.run("level A@DC1 10 v1\nreserve r1 A:4\nconfirm r1")
    for line in PARTS[parts][::-1] if newer_first else PARTS[parts]:
        table.line(line)
    if parts == "shipments":
        table.run("= A@DC1 6 0 1\nwait 300\nlevel A@DC1 7 v9 at 300\n= A@DC1 6 0 1")
    else:
        one, all = (1, 3) if measure == "available" else (0, 0)
        table.run(f"= A@DC1 6 0 4\nlevel A@DC1 10 v5\n= A@DC1 {6 + one} 0 4")
        table.run(f"level A@DC1 10 v7\n= A@DC1 {6 + all} 0 4")
