"""Whatever comes first, the same events end in the same state: what was told of one order by two sources, what is
counted and shipped around a level, deliveries that two announce, units set aside.

Each case is played in every order of its events, around an order that is known. What they
must end in is written down here from the versions alone.
"""

from itertools import permutations

import pytest

from atp.domain.state import ANNOUNCED_MAX, ASIDES_MAX
from tests.scenarios.table import Table

#: wms measures what is available at DC1, yard what is on hand at DC2; oms and erp are the authority of neither.
SOURCES = """
source wms {"kind":"wms","measure":"available"}
source yard {"kind":"wms"}
source erp {"kind":"erp"}
source oms {"kind":"erp","measure":"available"}
location DC1 {"kind":"warehouse","sources":[{"source":"wms","role":"authority"}]}
location DC2 {"kind":"warehouse","sources":[{"source":"yard","role":"authority"}]}
"""

#: Of an order of 4, above a level of 40 at v1: events, then free units and the number of the authority.
CASES = {
    "shipped by two": ("DC1", 36, 38, "fulfilled 2 v5 wms", "fulfilled 2 v3 oms"),
    "shipped by two, by one of them more": ("DC2", 36, 38, "fulfilled 2 v5 yard", "fulfilled 3 v3 oms"),
    "shipped by two in parts": ("DC2", 36, 38, "fulfilled 1 v5 yard", "fulfilled 1 v7 yard", "fulfilled 2 v3 oms"),
    "shipped by three": ("DC2", 36, 36, "fulfilled 4 v5 yard", "fulfilled 1 v3 oms", "fulfilled 2 v3 erp"),
    "counted, and shipped by others": ("DC1", 36, 36, "acknowledged 4 v3 wms", "fulfilled 4 v3 oms"),
    "counted by a level, and shipped by others": (
        "DC1", 50, 50, "acknowledged 4 v3 wms", "fulfilled 4 v3 oms", "level 50 v4 wms",
    ),
    "counted, shipped, and a level between": (
        "DC1", 50, 50, "acknowledged 4 v3 wms", "level 50 v5 wms", "fulfilled 4 v7 wms",
    ),
    "named by a level, and shipped": ("DC1", 50, 50, "level 50 v5 wms named", "fulfilled 4 v7 wms"),
    "counted in parts, shipped in parts around a level": (
        "DC1", 48, 49, "acknowledged 2 v3 wms", "acknowledged 2 v9 wms", "level 50 v5 wms", "fulfilled 3 v7 wms",
    ),
    "shipped before the rest was counted": (
        "DC1", 50, 50, "fulfilled 2 v3 wms", "acknowledged 2 v5 wms", "level 50 v6 wms",
    ),
    "counted by two": (
        "DC1", 50, 50, "acknowledged 4 v3 oms", "acknowledged 4 v4 wms", "level 50 v5 wms",
    ),
    "named by two levels": (
        "DC1", 51, 51, "level 50 v5 wms named", "level 51 v7 wms named", "short 2 v9 wms", "fulfilled 2 v9 wms",
    ),
    "named by one that counts nothing": (
        "DC1", 50, 50, "level 70 v5 erp named", "acknowledged 4 v4 wms", "level 50 v5 wms",
    ),
    "counted twice": ("DC1", 47, 50, "acknowledged 1 v3 wms", "acknowledged 4 v6 wms", "level 50 v5 wms"),
    "counted, and not found, and a level between": (
        "DC1", 50, 50, "acknowledged 4 v3 wms", "short 1 v7 wms", "level 50 v5 wms",
    ),
    "not found twice around a level": ("DC2", 47, 50, "short 1 v3 yard", "short 2 v7 yard", "level 50 v5 yard"),
    "not found by others": ("DC1", 49, 50, "acknowledged 4 v3 wms", "short 1 v3 oms", "level 50 v5 wms"),
    "cancelled and counted in part": (
        "DC1", 48, 50, "acknowledged 2 v3 wms", "cancelled 1 v7 wms", "level 50 v5 wms",
    ),
    "unfit around a status": (
        "DC2", 34, 46, "unfit 1 v3 yard", "unfit 2 v6 yard", "unfit 3 v7 yard", "status 5 v6 yard",
    ),
    "more shipped than there is": ("DC2", 35, 35, "fulfilled 3 v3 yard", "cancelled 2 v4 yard", "delta -2 v5 yard"),
}  # fmt: skip


def word(event: str, sku: str, at: str, order: str) -> str:
    """An event of a case as a line of a table."""
    kind, units, version, source, *named = event.split()
    match kind:
        case "level" | "status":
            includes = f" includes {order}" if named else ""
            return f"{kind} {sku}@{at} {units} {version} by {source}{includes}"
        case "delta":
            return f"delta {sku}@{at} {units} {version} {sku}{version} by {source}"
        case "unfit":
            return f"returned {sku}@{at} {units} {version} {sku}{version} unfit by {source}"
        case "short":
            return f"cancelled {order} {sku}:{units}@{at}! {version} {order}{version}{source} by {source}"
    return f"{kind} {order} {sku}:{units}@{at} {version} {order}{kind}{version}{source} by {source}"


def facts(table: Table, sku: str, at: str, order: str) -> tuple:
    """All that the ledger keeps of the sku and the order, but who told last."""
    state = table.law.dump()
    held, committed, shipped, sources, supply, aside = state["positions"][sku, at]
    numbers = {source: (*known[:3], known[4], *known[6:]) for source, known in sources.items() if known[1]}
    recent: dict[tuple, int] = {}
    for (name, *_), (version, units) in state["recent"].items():
        if name == sku:
            recent[version] = recent.get(version, 0) + units
    counted = {version: units for version, units in recent.items() if units}
    asides = sorted((kind, source, version, units) for kind, source, version, _, units, _ in aside)
    units = [
        (a.committed, a.acknowledged, a.fulfilled, a.released, a.gone, a.tallies)
        for line in state["reservations"][f"r{order}"]["lines"] for a in line.allocations
    ]  # fmt: skip
    return held, committed, sum(shipped.values()), numbers, supply, asides, counted, units


#: Cases that may also be told before the order is made.
LATE = ("shipped by two", "shipped by two, by one of them more", "shipped by two in parts", "shipped by three")


@pytest.mark.parametrize("name", CASES)
def test_a_case_ends_the_same_in_every_order(table: Table, name: str) -> None:
    play(table.run(SOURCES), name)


@pytest.mark.parametrize("name", LATE)
def test_what_is_told_before_the_order_ends_the_same(table: Table, name: str) -> None:
    play(table.run(SOURCES), name, late=True)


def test_every_case_ends_the_same_in_every_order(table: Table) -> None:
    """All of them in one ledger, for bugs that are planted."""
    table.run(SOURCES)
    for n, name in enumerate(CASES):
        play(table, name, prefix=f"K{n}")
    for n, name in enumerate(LATE):
        play(table, name, late=True, prefix=f"L{n}")


def play(table: Table, name: str, *, late: bool = False, prefix: str = "K") -> None:
    at, free, number, *told = CASES[name]
    authority, ends = "wms" if at == "DC1" else "yard", []
    for n, arriving in enumerate(permutations(told)):
        sku, order = f"{prefix}-{n}", f"{prefix}o{n}"
        table.line(f"level {sku}@{at} 40 v1 by {authority}")
        begin = [f"reserve r{order} {sku}:4@{at} order {order}", f"confirm r{order}"]
        events = [word(event, sku, at, order) for event in arriving]
        for line in (*events, *begin) if late else (*begin, *events):
            kind, *rest = line.split()
            table.apply([table.command(kind, rest)])
        ends.append(facts(table, sku, at, order))
        table.line(f"= {sku}@{at} {free} 0 {ends[-1][1]}")
        assert ends[-1][3][authority][0] == number
    least = 7 if name == "more shipped than there is" else 8  # who comes first takes it, and the stock is the same
    for end in ends:
        assert end[:least] == ends[0][:least]


def test_what_was_acknowledged_before_is_none_of_what_is_confirmed_later(table: Table) -> None:
    """The acknowledgement was of all 4 that there were, 2 of which had left before."""
    table.run(SOURCES + "level A@DC1 40 v1\nreserve r1 A:6@DC1 order X\nconfirm r1 1:4")
    table.run("fulfilled X A:2@DC1 v3 e3\nacknowledged X A:4@DC1 v9 e9\nlevel A@DC1 36 v10\n= A@DC1 34 2 2")
    table.run("confirm r1\n= A@DC1 34 0 4\nacknowledged X A:2@DC1 v11 e11\nlevel A@DC1 34 v12\n= A@DC1 34 0 4")


ANNOUNCED = {
    "the later word counts": ("10 d9 v2 by wms at 1", "7 d5 v9 by erp at 2", "d5 7"),
    "without times the later day": ("10 d5 v2 by wms", "7 d9 v9 by erp", "d9 7"),
    "then the one that promises less": ("10 d5 v9 by wms", "7 d5 v2 by erp", "d5 7"),
    "what is called off does not come": ("0 d5 v9 by wms", "7 d9 v2 by erp", ""),
}


def test_a_delivery_that_two_announce_is_the_same_whoever_comes_first(table: Table) -> None:
    table.run(SOURCES)
    for n, (one, other, left) in enumerate(ANNOUNCED.values()):
        for first, (a, b) in enumerate(((one, other), (other, one))):
            sku = f"S{n}{first}"
            table.line(f"level {sku}@DC1 5 v1")
            for units, *told in (a.split(), b.split()):
                table.line(f"incoming {sku}@DC1 po1 {units} {' '.join(told)}")
            day, _, more = left.partition(" ")
            table.line(f"atp {sku}@DC1 5 {day or 'd9'} {5 + int(more or 0)}")
            table.line(f"received {sku}@DC1 po1 2 v20 e{sku} by erp")


def test_words_of_more_sources_than_are_kept_leave_the_heaviest(table: Table) -> None:
    table.line("level A@DC1 5 v1")
    for n in range(ANNOUNCED_MAX + 4):
        table.line(f"incoming A@DC1 po1 {n + 1} d{n + 3} v2 by s{n:02} at {n}")
    (supply,) = table.law.dump()["supplies"].values()
    assert [x[0] for x in supply[-1]] == [f"s{n:02}" for n in range(3, ANNOUNCED_MAX + 3)]
    assert supply[4] == f"s{ANNOUNCED_MAX + 3:02}"


def test_units_set_aside_of_many_versions_stay_until_the_newest_of_those_that_are_one(table: Table) -> None:
    table.run('level A@DC2 1000 v1\nlocation DC2 {"kind":"warehouse"}\nstatus A@DC2 0 v1')
    for n in range(ASIDES_MAX + 3):
        table.line(f"returned A@DC2 1 v{n + 2} a{n} unfit")
    found = sorted((version[2], units) for *_, version, _, units, _ in table.law.dump()["positions"]["A", "DC2"][5])
    assert found == [(5, 4), *((n, 1) for n in range(6, ASIDES_MAX + 5))]
    table.line("status A@DC2 2 v4")
    sources = table.law.dump()["positions"]["A", "DC2"][3]
    assert sources["wms"][8] == 2 + ASIDES_MAX + 3, "the four lowest are kept as of the newest of them"
