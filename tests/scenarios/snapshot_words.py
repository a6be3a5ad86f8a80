"""Words of scenario tables for snapshots.

    part S 1/2 v9 A:5@DC1 B:2@DC1 [full DC1,DC2] [of DC1] [by erp] [pos 7] [time] [at 90] [measure on_hand]
                                                a part with its lines, as the consumer sends it: told, its lines, taken
    begin S 1/2 v9 …                            only told
    taken S 1/2 v9 …                            only that its lines were taken
    zero A@DC1 v9 [by erp] [gen 1]              a zero of one position
    sweep [by erp]                              what the sweeper does: counts, and zeros what the law lets it
    count [by erp]  accept [by erp]  discard [by erp]  swept [by erp]      one step of the source's first sweep

``snapshot complete [by erp]`` asks for the state of the source's last snapshot, ``sweeps parked`` for those of all
sweeps, in order; ``sweeps`` alone for none. ``part`` and ``sweep`` expect the outcome of their first command.
"""

from typing import TYPE_CHECKING

from atp.domain import commands as c
from atp.domain.ids import digest53
from atp.domain.outcomes import Outcome
from atp.domain.records import split_version
from atp.domain.snapshots import SnapshotDecide, SnapshotPart, Zero
from tests.scenarios.laws import START_MS

if TYPE_CHECKING:
    from tests.scenarios.table import Table

#: Words that are commands of their own.
SINGLE = ("begin", "taken", "zero", "count", "accept", "discard", "swept")

#: Words that stand for several commands, or for a question.
WORDS = ("part", "sweep", "snapshot", "sweeps")

_STEPS = {"count": "counted", "accept": "accept", "discard": "discard", "swept": "swept"}


def command(table: "Table", word: str, rest: list[str]) -> c.Command:
    """The command of one line."""
    plain, named = table.split(rest)
    if word == "zero":
        sku, location = plain[0].split("@")
        version = (int(named.get("gen", 1)), *split_version(int(plain[1][1:])))
        return Zero(sku, location, named.get("by", "wms"), "sequence", version, 0, "cause")
    if word in _STEPS:
        seq = first_sweep(table, named.get("by", "wms"))
        counts = counted(table, seq) if word == "count" and seq else []
        return SnapshotDecide(
            seq, _STEPS[word], counts, "person" if word in ("accept", "discard") else "", "cause", "why"
        )
    return part(plain, named, taken=word == "taken")


def line(table: "Table", word: str, rest: list[str], expected: list[str]) -> None:
    """Carry out or ask what is no single command."""
    plain, named = table.split(rest)
    source = named.get("by", "wms")
    if word == "snapshot":
        found = table.law.dump()["snapshots"].get(source)
        assert [found[9] if found else "none"] == plain, f"found {found}"
    elif word == "sweeps":
        sweeps = table.law.dump()["sweeps"]
        assert [sweeps[seq][6] for seq in sorted(sweeps)] == plain, f"found {sweeps}"
    elif word == "sweep":
        seq = first_sweep(table, source)
        if table.law.dump()["sweeps"].get(seq, [""] * 7)[6] == "counting":
            table.do(SnapshotDecide(seq, "counted", counted(table, seq), "", "cause"), expected)
        if table.law.dump()["sweeps"].get(seq, [""] * 7)[6] == "sweeping":
            zero_all(table, seq)
            table.do(SnapshotDecide(seq, "swept"), ["APPLIED"])
    else:
        told = part(plain, named, taken=False)
        table.do(told, expected)
        if table.last.outcome in (Outcome.APPLIED, Outcome.REPLAYED, Outcome.SNAPSHOT_OVER):
            results, entries = table.apply(list(lines_of(plain, named, told)))
            table.entries += entries
            assert all(r.outcome in (Outcome.APPLIED, Outcome.STALE) for r in results), results
            if table.last.outcome is not Outcome.SNAPSHOT_OVER:
                table.do(part(plain, named, taken=True), ["APPLIED"])


def part(plain: list[str], named: dict[str, str], *, taken: bool) -> SnapshotPart:
    """One part, told before or after its lines."""
    number, parts = plain[1].split("/")
    kind = "time" if "time" in named else "sequence"
    locations = sorted(filter(None, (named.get("full") or named.get("of") or "").split(",")))
    as_of = START_MS + round(float(named["at"]) * 1000) if "at" in named else 0
    return SnapshotPart(
        named.get("by", "wms"), plain[0], kind, split_version(int(plain[2][1:])), "S", int(named.get("pos", 0)),
        int(parts), int(number), digest53(*plain[3:]) or 1, "full" in named, locations, as_of,
        named.get("measure", ""), taken, "cause",
    )  # fmt: skip


def lines_of(plain: list[str], named: dict[str, str], told: SnapshotPart) -> list[c.Level]:
    """The levels of a part."""
    lines = [(*text.partition("@")[0].split(":"), text.partition("@")[2]) for text in plain[3:]]
    return [
        c.Level(
            sku, location, told.source, int(units), told.version_kind, told.version, told.stream, told.position,
            told.as_of, told.measure, told.cause,
        )
        for sku, units, location in lines
    ]  # fmt: skip


def first_sweep(table: "Table", source: str) -> int:
    """The oldest sweep of a source, or 0."""
    sweeps = table.law.dump()["sweeps"]
    return min((seq for seq, sweep in sweeps.items() if sweep[0] == source), default=0)


def counted(table: "Table", seq: int) -> list[tuple[str, int, int]]:
    """What the first pass of a sweep counts."""
    filled, unnamed = table.law.unnamed(seq, table.now)
    return [(at, n, sum(more for _, where, more in unnamed if where == at)) for at, n in sorted(filled.items())]


def zero_all(table: "Table", seq: int) -> None:
    """The second pass."""
    sweep = table.law.dump()["sweeps"][seq]
    _, unnamed = table.law.unnamed(seq, table.now)
    zeros = [Zero(sku, at, sweep[0], sweep[2], sweep[3], sweep[5], sweep[1]) for sku, at, _ in unnamed]
    _, entries = table.apply(list(zeros))
    table.entries += entries
