"""Jumps of a clock expire nothing, and deadlines that passed in an outage move to half a minute after it (R22)."""

import pytest

from atp.domain.entries import ClockApart, DeadlinesMoved, Expired
from tests.scenarios.laws import START_MS
from tests.scenarios.table import Table

TABLES = {
    "a hold that fell due in an outage can still be confirmed": """
        level A@DC1 2 v1
        reserve paying A:1 ttl 60
        reserve gone A:1 ttl 60
        outage 300
        moved 0/300/330
        = paying held 1:1/0
        reserve next A:1 -> INSUFFICIENT
        confirm paying
        wait 29
        = gone held 1:1/0
        wait 1.5
        = gone expired 1:0/0
        = A@DC1 1 0 1
        wait 0
        moved
    """,
    "what a sweeper left for a moment is no outage": """
        level A@DC1 1 v1
        reserve r1 A:1 ttl 10
        outage 17
        = r1 expired 1:0/0
        moved
    """,
    "an idle ledger was not away": """
        level A@DC1 1 v1
        outage 86400
        moved
        reserve r1 A:1 ttl 600
        outage 602
        = r1 expired 1:0/0
        moved
    """,
    "what was overdue before an outage is not moved": """
        level A@DC1 3 v1
        reserve r1 A:1 ttl 10
        reserve r2 A:1 ttl 10
        reserve r3 A:1 ttl 20
        settle 1
        wait 12.5
        settle 256
        outage 60
        = r1 expired 1:0/0
        = r2 expired 1:0/0
        = r3 held 1:1/0
        moved 12.5/72.5/102.5
    """,
    "a deadline after the outage stays where it is": """
        level A@DC1 2 v1
        reserve r1 A:1 ttl 10
        reserve r2 A:1 ttl 70
        outage 60
        wait 13
        = r1 held 1:1/0
        = r2 expired 1:0/0
        wait 18
        = r1 expired 1:0/0
    """,
    "a second outage moves what the first one moved": """
        level A@DC1 2 v1
        reserve r1 A:1 ttl 10
        outage 60
        moved 0/60/90
        wait 5
        reserve r2 A:1 ttl 10
        outage 60
        moved 0/60/155 65/125/155
        wait 29
        = r1 held 1:1/0
        = r2 held 1:1/0
        wait 1
        = r1 expired 1:0/0
        = r2 expired 1:0/0
        wait 0
        moved
    """,
    "a second outage is seen by what the first one moved": """
        level A@DC1 2 v1
        reserve r1 A:1 ttl 10
        outage 60
        outage 60
        wait 0
        moved 0/60/150
        = r1 held 1:1/0
    """,
    "a moved hold is kept with its deadline, and another outage finds it there": """
        level A@DC1 2 v1
        reserve r1 A:2 ttl 10
        outage 60
        confirm r1 1:1
        wait 0
        moved
        outage 20
        confirm r1 1:1
    """,
    "a moved hold can be replaced, and extended": """
        level A@DC1 2 v1
        reserve r1 A:1 ttl 10
        reserve r2 A:1 ttl 10
        outage 60
        extend r2 40
        reserve r3 A:1 replaces r1
        = r1 released 1:0/0
        wait 41
        = r2 held 1:1/0
        wait 1
        = r2 expired 1:0/0
    """,
    "a repeat shows the deadline that counts": """
        level A@DC1 2 v1
        reserve r1 A:1 ttl 10
        outage 60
        reserve r1 A:1 ttl 10 -> REPLAYED replayed
        expires r1 88
    """,
    "a sender with another clock expires nothing": """
        level A@DC1 2 v1
        reserve r1 A:1 ttl 10
        reserve r2 A:1 ttl 10
        sender -61
        wait 62
        = r1 held 1:1/0
        confirm r1
        reserve r3 A:1 -> INSUFFICIENT
        sender -60
        = r2 held 1:1/0
        moved 1/62/92
        wait 30
        = r2 expired 1:0/0
        = A@DC1 1 0 1
    """,
    "a ledger's clock that ran ahead for a moment leaves no trace": """
        level A@DC1 2 v1
        reserve r1 A:1 ttl 600
        sender -3600
        outage 3600
        = r1 held 1:1/0
        pass -3600
        sender 0
        = r1 held 1:1/0
        moved
        wait 603
        = r1 expired 1:0/0
    """,
    "when both clocks step forward, it was an outage": """
        level A@DC1 2 v1
        reserve r1 A:1 ttl 600
        outage 3600
        = r1 held 1:1/0
        confirm r1
    """,
}


@pytest.mark.parametrize("name", TABLES)
def test_clock(table: Table, name: str) -> None:
    table.run(TABLES[name])


def test_one_entry_moves_any_number_of_deadlines(table: Table) -> None:
    table.run("level A@DC1 900 v1")
    table.law.apply([table.command("reserve", [f"r{n}", "A:1", "ttl", "60"]) for n in range(300)], table.now)
    table.run("outage 600")
    moved = [entry for entry in table.entries if isinstance(entry, DeadlinesMoved)]
    assert [(m.after, m.through, m.until) for m in moved] == [(START_MS, START_MS + 600_000, START_MS + 630_000)]
    table.run("wait 31\nwait 0\nwait 0\nmoved")
    expired = [entry for entry in table.entries if isinstance(entry, Expired)]
    assert len(expired) == 300
    assert {e.reservation.expires_at for e in expired} == {START_MS + 628_000}


def test_clocks_that_are_apart_are_told_once_and_at_most_once_a_minute(table: Table) -> None:
    table.run("sender 90\nwait 10\nwait 70\nsender 0\nsender -90\nsender 0\nwait 30\nsender 90\nsender 0\nsender 90")
    told = [entry for entry in table.entries if isinstance(entry, ClockApart)]
    at = START_MS + 80_000
    assert [(e.ledger_now, e.sender_now, e.process) for e in told] == [
        (START_MS, START_MS + 90_000, "test"),
        (at, at - 90_000, "test"),
    ]


def test_a_backlog_of_one_second_is_no_ground_of_a_refusal_and_no_outage(table: Table) -> None:
    """The holds of a campaign fall due together, and are more than one batch settles (R21, R22)."""
    table.run("level A@DC1 1000 v1")
    for start in range(0, 1000, 250):
        holds = [table.command("reserve", [f"r{n}", "A:1", "ttl", "10"]) for n in range(start, start + 250)]
        table.law.apply(holds, table.now)
    table.run("pass 12.5\nsettle 256\nreserve last A:257 -> AGAIN")
    table.run("outage 60\nmoved")  # what was left of the backlog is older than the last batch
    table.run("wait 0\nreserve last A:1000\n= A@DC1 0 1000 0")
    assert not [entry for entry in table.entries if isinstance(entry, DeadlinesMoved)]
