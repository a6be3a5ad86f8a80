"""Snapshots in parts: any order of parts and other events ends in the same numbers, and no half of one empties a shop.

The tables hold every counterexample of R13.
"""

from random import Random

import pytest
from msgspec import structs

from atp.domain.entries import (
    ExceptionRaised,
    ExceptionResolved,
    LevelSet,
    SnapshotBegun,
    SnapshotMoved,
    SnapshotPartSeen,
)
from atp.domain.state import OVER_MAX, Snapshot, Sweep
from tests.scenarios.table import Table

OPEN_GUARD = 'source wms {"kind":"wms","full_guard_percent":100}\n'

TABLES = {
    "a delta after as_of counts, whatever the parts' own sequence is (R13)": """
        level A@DC1 50 v90
        part S 1/2 v99 A:10@DC1 pos 100
        delta A@DC1 -3 v101 e1 pos 101
        delta B@DC1 -2 v101 e2 pos 101
        part S 2/2 v99 B:20@DC1 pos 103
        snapshot complete
        = A@DC1 7 0 0
        = B@DC1 18 0 0
    """,
    "what is newer than as_of is not zeroed, though no part names it (R13)": OPEN_GUARD
    + """
        level OLD@DC1 9 v50
        part S 1/2 v99 A:10@DC1 full DC1 pos 100
        level X@DC1 5 v105 pos 105
        part S 2/2 v99 B:20@DC1 full DC1 pos 106
        sweep
        = X@DC1 5 0 0
        = A@DC1 10 0 0
        = B@DC1 20 0 0
        = OLD@DC1 0 0 0
        sweeps
    """,
    "a location with nothing left has no line, and is emptied (R13)": OPEN_GUARD
    + """
        level A@DC1 9 v50
        level A@DC2 4 v50
        level B@DC2 4 v50
        level A@S1 6 v50
        part S 1/1 v99 A:9@DC1 full DC1,DC2
        sweep
        = A@DC1 9 0 0
        = A@DC2 0 0 0
        = B@DC2 0 0 0
        = A@S1 6 0 0
    """,
    "an export that was cut is parked, and nothing is zeroed until a person says so (R13)": """
        level A@DC1 9 v50
        level B@DC1 9 v50
        level C@DC1 9 v50
        part S 1/1 v99 A:8@DC1 full DC1
        sweep
        sweeps parked
        = A@DC1 8 0 0
        = B@DC1 9 0 0
        swept -> NOT_ACTIVE parked
        count -> NOT_ACTIVE parked
        accept -> APPLIED sweeping
        accept -> NOT_ACTIVE sweeping
        sweep
        = B@DC1 0 0 0
        = C@DC1 0 0 0
        accept -> NOT_FOUND
    """,
    "a discarded one zeroes nothing": """
        level A@DC1 9 v50
        level B@DC1 9 v50
        part S 1/1 v99 A:8@DC1 full DC1
        sweep
        discard -> APPLIED ended
        sweeps
        = B@DC1 9 0 0
    """,
    "the guard counts location by location, and only what is not zero": """
        source wms {"kind":"wms","full_guard_percent":50}
        level A@DC1 9 v50
        level B@DC1 9 v50
        level C@DC1 0 v50
        level D@DC1 0 v50
        level A@DC2 1 v50
        level B@DC2 1 v50
        level C@DC2 1 v50
        part S 1/1 v99 A:8@DC1 A:1@DC2 B:1@DC2 full DC1,DC2
        sweep
        = B@DC1 0 0 0
        = C@DC2 0 0 0
        source wms {"kind":"wms","full_guard_percent":49}
        level B@DC1 9 v100
        part T 1/1 v101 A:8@DC1 A:1@DC2 B:1@DC2 full DC1,DC2
        sweep
        sweeps parked
    """,
    "a missing part zeroes nothing, and is told after half an hour (R13)": OPEN_GUARD
    + """
        level B@DC1 9 v50
        part S 1/2 v99 A:8@DC1 full DC1
        wait 1790
        sweep -> NOT_FOUND
        sweeps
        snapshot open
        wait 10
        = B@DC1 9 0 0
        part S 2/2 v99 C:8@DC1 full DC1
        snapshot complete
        sweep
        = B@DC1 0 0 0
    """,
    "only taken parts count": OPEN_GUARD
    + """
        level B@DC1 9 v50
        begin S 1/2 v99 A:8@DC1 full DC1
        begin S 1/2 v99 A:8@DC1 full DC1 -> REPLAYED replayed
        part S 2/2 v99 C:8@DC1 full DC1
        snapshot open
        taken S 1/2 v99 A:8@DC1 full DC1
        snapshot complete
        sweeps counting
    """,
    "the same part again has no effect, another one of its number is refused": """
        part S 1/2 v99 A:8@DC1 full DC1
        level A@DC1 7 v100
        part S 1/2 v99 A:8@DC1 full DC1 -> DUPLICATE
        begin S 1/2 v99 A:9@DC1 full DC1 -> CONTRADICTED lines
        begin S 2/3 v99 A:9@DC1 full DC1 -> CONTRADICTED parts
        begin S 2/2 v98 A:9@DC1 full DC1 -> CONTRADICTED as_of
        begin S 2/2 v99 A:9@DC1 full DC1 at 5 -> CONTRADICTED as_of
        begin S 2/2 v99 A:9@DC1 of DC1 -> CONTRADICTED full
        begin S 2/2 v99 A:9@DC1 full DC1,DC2 -> CONTRADICTED locations
        = A@DC1 7 0 0
        part S 2/2 v99 B:1@DC1 full DC1
        snapshot complete
        part S 2/2 v99 B:1@DC1 full DC1 -> DUPLICATE
        begin S 2/2 v99 B:2@DC1 full DC1 -> CONTRADICTED lines
        begin S 1/1 v100 B:2@DC1 full DC1 -> CONTRADICTED as_of
    """,
    "a newer one ends an older incomplete one, whose late parts are levels like others (R13)": OPEN_GUARD
    + """
        level C@DC1 9 v50
        part S 1/2 v99 A:8@DC1 full DC1
        part T 1/2 v100 A:7@DC1 full DC1
        part S 2/2 v99 B:6@DC1 full DC1 -> SNAPSHOT_OVER T
        = B@DC1 6 0 0
        sweeps
        part T 2/2 v100 A:7@DC1 full DC1
        sweep
        = A@DC1 7 0 0
        = B@DC1 0 0 0
        = C@DC1 0 0 0
        begin S 1/2 v99 A:8@DC1 full DC1 -> SNAPSHOT_OVER T
    """,
    "between equal versions the later one counts, and is not ended by what is left of the earlier": """
        begin S 1/2 v99 A:8@DC1
        begin T 1/2 v99 A:8@DC1
        begin S 2/2 v99 B:8@DC1 -> SNAPSHOT_OVER T
        begin U 1/1 v99 A:8@DC1
        begin T 2/2 v99 B:8@DC1 -> SNAPSHOT_OVER U
        begin S 2/2 v99 B:8@DC1 -> SNAPSHOT_OVER U
        taken U 1/1 v99 A:8@DC1
        snapshot complete
    """,
    "so many are remembered as over": """
        begin S1 1/2 v99
        begin S2 1/2 v99
        begin S3 1/2 v99
        begin S4 1/2 v99
        begin S5 1/2 v99
        begin S6 1/2 v99
        begin S7 1/2 v99
        begin S8 1/2 v99
        begin S9 1/2 v99
        begin S1 2/2 v99 -> SNAPSHOT_OVER S9
        begin S10 1/2 v99
        begin S2 2/2 v99 -> SNAPSHOT_OVER S10
        begin S1 2/2 v99
    """,
    "a newer one ends a parked one, and goes on beside one that is swept": """
        level A@DC1 9 v50
        level B@DC1 9 v50
        level C@DC1 9 v50
        part S 1/1 v99 A:8@DC1 full DC1
        sweep
        sweeps parked
        part T 1/1 v100 A:7@DC1 B:9@DC1 full DC1
        sweeps counting
        part U 1/1 v101 A:7@DC1 B:9@DC1 C:2@DC1
        sweep
        sweeps
        = C@DC1 2 0 0
    """,
    "one that would be parked when there is a newer one is over": """
        level A@DC1 9 v50
        level B@DC1 9 v50
        part S 1/1 v99 A:8@DC1 full DC1
        begin T 1/2 v100 A:8@DC1 full DC1
        count -> APPLIED ended
        sweeps
    """,
    "a newer one leaves what another source parked": """
        level A@DC1 9 v50
        level A@DC1 9 v50 by erp
        part S 1/1 v99 full DC1
        sweep
        part S 1/1 v99 full DC1 by erp
        sweep by erp
        sweeps parked parked
        begin T 1/2 v100 full DC1
        sweeps parked
        accept by erp -> APPLIED sweeping
    """,
    "what was parked waits on while its source goes on to other places, or sends levels alone (R13)": """
        level A@DC1 9 v50
        level B@DC1 9 v50
        level A@DC2 9 v50
        part S 1/1 v99 A:8@DC1 full DC1
        sweep
        part T 1/1 v100 full DC2
        count -> NOT_ACTIVE parked
        part U 1/1 v101 A:7@DC1 of DC1
        sweeps parked counting
        raised snapshot-guard - - wms S
        accept -> APPLIED sweeping
        raised none
        sweep
        = B@DC1 0 0 0
        = A@DC1 7 0 0
        sweep
        sweeps parked
        raised snapshot-guard - - wms T
        begin V 1/2 v102 full DC1,DC2
        sweeps
        raised none
    """,
    "one that is counted late is parked beside a newer one of another place": """
        level A@DC1 9 v50
        level B@DC1 9 v50
        part S 1/1 v99 A:8@DC1 full DC1
        begin T 1/2 v100 full DC2
        sweep
        sweeps parked
        accept -> APPLIED sweeping
        sweep
        = B@DC1 0 0 0
    """,
    "every source has its own": OPEN_GUARD
    + """
        level A@DC1 9 v50
        level A@DC1 5 v50 by erp
        part S 1/2 v99 B:8@DC1 full DC1
        part S 1/1 v10 B:8@DC1 full DC1 by erp
        snapshot open
        snapshot complete by erp
        source erp {"kind":"erp","full_guard_percent":100}
        sweep by erp
        = A@DC1 9 0 0
        level A@DC1 5 v60 by erp
        part S 2/2 v99 B:8@DC1 full DC1
        sweep
        = A@DC1 0 0 0
    """,
    "a part is refused as a level is, and then nothing of it is known": """
        cursor 5
        begin S 1/1 v99 A:8@DC1 pos 5 -> SETTLED
        begin S 1/1 v99 A:8@DC1 measure available -> MEASURE_MISMATCH on_hand
        snapshot none
        level A@DC1 9 v50
        begin S 1/1 v99 A:8@DC1 time -> VERSION_KIND_MISMATCH sequence
        snapshot none
        begin S 1/1 v99 A:8@DC1 measure on_hand pos 6
    """,
    "a zero is a level where its source has a number": """
        level A@DC1 9 v50
        level A@DC1 4 v50 by erp
        zero B@DC1 v99 -> NOT_FOUND
        zero A@DC2 v99 -> NOT_FOUND
        zero A@DC1 v99 by pos -> NOT_FOUND
        zero A@DC1 v99 gen 2 -> STALE
        zero A@DC1 v50 -> STALE
        zero A@DC1 v99 by erp
        = A@DC1 9 0 0
        delta A@DC1 -2 v120 e1
        zero A@DC1 v99
        = A@DC1 -2 0 0
        zero A@DC1 v99 -> STALE
        level A@DC1 5 v99 pos 7
        = A@DC1 3 0 0
    """,
    "a source that only sent deltas has a number, too": OPEN_GUARD
    + """
        delta A@DC1 5 v50 e1
        delta A@DC1 2 v120 e2
        part S 1/1 v99 B:1@DC1 full DC1
        sweep
        = A@DC1 2 0 0
    """,
    "a full memory takes what completes a snapshot, and its zeros": """
        level A@DC1 9 v50
        begin S 1/1 v99 B:1@DC1 full DC1
        full
        begin S 2/2 v99 B:1@DC1 full DC1 -> NO_ROOM
        taken S 1/1 v99 B:1@DC1 full DC1
        count -> APPLIED parked
        accept -> APPLIED sweeping
        zero A@DC1 v99
        zero A@DC2 v99 -> NO_ROOM
        swept -> APPLIED swept
        = A@DC1 0 0 0
    """,
}


@pytest.mark.parametrize("name", TABLES)
def test_snapshots(table: Table, name: str) -> None:
    table.run(TABLES[name])


PARTS = ("part S 1/3 v99 A:5@DC1 full DC1", "part S 2/3 v99 B:6@DC1 full DC1", "part S 3/3 v99 full DC1")
NEWER = ("delta A@DC1 -1 v101 e1", "level X@DC1 3 v120", "delta O@DC1 2 v110 e2")
OLDER = ("level O@DC1 8 v90", "level A@DC1 50 v95", "delta B@DC1 7 v98 e3", "delta O@DC1 -1 v97 e4")


@pytest.mark.parametrize("seed", range(12))
def test_any_order_of_parts_and_other_events_ends_in_the_same_numbers(table: Table, seed: int) -> None:
    draw = Random(seed)
    events = [*PARTS, *NEWER, *OLDER]
    events += draw.sample(events, 5)
    draw.shuffle(events)
    table.run(OPEN_GUARD)
    for event in events:
        if event in PARTS and table.law.dump()["snapshots"].get("wms", ({},))[-1].get(PARTS.index(event) + 1, 0):
            event += " -> DUPLICATE"
        elif event not in PARTS:
            table.entries += table.apply([table.command(*_words(event))])[1]
            continue
        table.line(event)
    table.run("sweep\n= A@DC1 4 0 0\n= B@DC1 6 0 0\n= X@DC1 3 0 0\n= O@DC1 2 0 0\nsweeps")


def _words(line: str) -> tuple[str, list[str]]:
    word, *rest = line.split()
    return word, rest


def test_a_killed_sweeper_s_successor_ends_what_it_left(table: Table) -> None:
    """What it zeroed has the snapshot's version, so a second pass finds the rest."""
    table.run(OPEN_GUARD + "".join(f"level K{n}@DC1 4 v50\n" for n in range(6)))
    table.run("part S 1/1 v99 A:5@DC1 full DC1\ncount -> APPLIED sweeping\nzero K1@DC1 v99\nzero K4@DC1 v99")
    ((seq, _),) = table.law.dump()["sweeps"].items()
    _, unnamed = table.law.unnamed(seq, table.now)
    assert [sku for sku, _, _ in unnamed] == ["K0", "K2", "K3", "K5"]
    table.run("sweep\nsweeps\n" + "".join(f"= K{n}@DC1 0 0 0\n" for n in range(6)))


def test_zeros_are_journaled_each_with_the_snapshots_version(table: Table) -> None:
    table.run(OPEN_GUARD + "level A@DC1 9 v50\npart S 1/1 v99 B:1@DC1 full DC1\nsweep")
    (taken,) = [e for e in table.entries if isinstance(e, LevelSet) and e.sku == "A" and e.quantity == 0]
    assert (taken.version, taken.position, taken.stream) == ((1, 0, 99), 0, "")


def test_the_journal_can_tell_a_snapshots_life(table: Table) -> None:
    table.run("level A@DC1 9 v50\npart S 1/2 v99 B:1@DC1 full DC1\nwait 1800\npart S 2/2 v99 full DC1\nsweep\ndiscard")
    (begun,) = [e for e in table.entries if isinstance(e, SnapshotBegun)]
    moved = [e for e in table.entries if isinstance(e, SnapshotMoved)]
    assert (begun.snapshot, begun.version, begun.parts, begun.locations) == ("S", (1, 0, 99), 2, ["DC1"])
    assert {e.snapshot for e in moved} == {begun.seq}
    assert [e.state for e in moved] == ["overdue", "complete", "parked", "ended"]
    assert moved[2].counts == [("DC1", 2, 1)]


@pytest.mark.parametrize("name", TABLES)
def test_entries_bring_back_what_is_kept_of_snapshots(table: Table, name: str) -> None:
    """A rebuild has nothing but the journal."""
    table.run(TABLES[name])
    snapshots, sweeps = replayed(table.entries)
    found = table.law.dump()
    assert snapshots == found["snapshots"]
    assert sweeps == found["sweeps"]


def replayed(entries: list) -> tuple[dict[str, tuple], dict[int, tuple]]:
    """Snapshots and sweeps, put together from entries, as ``dump`` gives them."""
    last: dict[str, Snapshot] = {}
    sweeps: dict[int, Sweep] = {}
    for e in entries:
        if isinstance(e, SnapshotBegun):
            before = last.get(e.source)
            over = [*before.over, before.id][-OVER_MAX:] if before and before.version == e.version else []
            last[e.source] = Snapshot(
                e.snapshot, e.seq, e.version_kind, e.version, e.parts, e.full, e.locations, e.as_of, e.at, over=over
            )
        elif isinstance(e, SnapshotPartSeen):
            last[e.source].digests[e.part] = e.digest if e.taken else -e.digest
            last[e.source].arrived += e.taken
        elif isinstance(e, SnapshotMoved):
            s = last[e.source]
            if e.state == "overdue":
                s.overdue = True
            elif e.state == "complete":
                s.state = "complete"
                if s.full:
                    sweeps[e.snapshot] = Sweep(e.source, s.id, s.version_kind, s.version, s.locations, s.as_of)
            elif e.state in ("sweeping", "parked"):
                sweeps[e.snapshot].state, sweeps[e.snapshot].counts = e.state, e.counts
            else:
                sweeps.pop(e.snapshot, None)
    return (
        {source: structs.astuple(s) for source, s in last.items()},
        {seq: structs.astuple(s) for seq, s in sweeps.items()},
    )


def test_people_are_told_once_and_told_when_it_is_over(table: Table) -> None:
    table.run(
        "source wms {}\nlevel A@DC1 9 v50\npart S 1/2 v99 B:1@DC1 full DC1\n"
        "wait 1800\nwait 1800\npart S 2/2 v99 full DC1\nsweep"
    )
    raised = [e for e in table.entries if isinstance(e, ExceptionRaised)]
    assert [(e.kind, e.source, e.detail) for e in raised] == [
        ("snapshot-incomplete", "wms", "S: 1 of 2 parts"),
        ("snapshot-guard", "wms", "S would zero 1 of 2 at DC1"),
    ]
    table.run("accept")
    over = [e for e in table.entries if isinstance(e, ExceptionResolved)]
    assert [(e.kind, e.raised, e.resolution, e.reason, e.client) for e in over] == [
        ("snapshot-incomplete", raised[0].seq, "over", "", ""),
        ("snapshot-guard", raised[1].seq, "accept", "why", "person"),
    ]


def test_what_a_newer_snapshot_ends_is_over_for_people_too(table: Table) -> None:
    table.run("level A@DC1 9 v50\npart S 1/1 v99 B:1@DC1 full DC1\nsweep\nsweeps parked\nbegin T 1/2 v100 full DC1")
    table.run("wait 1800\nbegin U 1/2 v101 full DC1")
    over = [e.kind for e in table.entries if isinstance(e, ExceptionResolved)]
    assert over == ["snapshot-guard", "snapshot-incomplete"]


def test_each_is_told_of_at_its_own_time_and_only_while_it_is_open(table: Table) -> None:
    def told() -> list[tuple[str, str]]:
        return [(e.source, e.state) for e in table.entries if isinstance(e, SnapshotMoved) and e.state == "overdue"]

    table.run(
        "begin S 1/2 v99\npass 1000\nbegin T 1/2 v99 by erp\npart U 1/1 v99 by pos\npass 500\nbegin V 1/2 v9 by b"
    )
    table.run("wait 299.999")
    assert told() == []
    table.run("wait 0.001")
    assert told() == [("wms", "overdue")]
    table.run("wait 999.999")
    assert told() == [("wms", "overdue")]
    table.run("wait 0.001\nwait 499.999")
    assert told() == [("wms", "overdue"), ("erp", "overdue")]
    table.run("wait 0.001\nwait 3000\npart W 1/1 v99 by pos\nwait 3000")
    assert told() == [("wms", "overdue"), ("erp", "overdue"), ("b", "overdue")]


def test_nothing_is_overdue_while_the_clocks_are_apart(table: Table) -> None:
    table.run("begin S 1/2 v99\nsender -90\npass 2000\nlevel A@DC1 1 v1")
    assert not any(isinstance(e, SnapshotMoved) for e in table.entries)
    table.run("sender 0\nwait 0")
    assert [e.state for e in table.entries if isinstance(e, SnapshotMoved)] == ["overdue"]
