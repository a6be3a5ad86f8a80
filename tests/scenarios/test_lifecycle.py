"""Confirm, release, extend and expiry: applied once per key, and due holds never the ground of a refusal."""

import pytest

from atp.domain.entries import Committed, Expired, Extended, Held, Released
from tests.scenarios.table import Table

TABLES = {
    "held units become committed, once by state": """
        level A@DC1 5 v1
        reserve r1 A:2
        confirm r1 order A-1
        = r1 committed 1:0/2
        = A@DC1 3 0 2
        confirm r1 -> REPLAYED replayed
        = A@DC1 3 0 2
    """,
    "a partial confirm with the same key counts once (R4)": """
        level A@DC1 5 v1
        reserve r1 A:3
        confirm r1 1:1 key 5
        confirm r1 1:1 key 5 -> REPLAYED replayed
        = r1 held 1:2/1
        confirm r1 1:2 key 5 body 2 -> KEY_REUSED
        confirm r1 1:1 key 6
        = r1 held 1:1/2
        confirm r1 1:2 -> NOT_ACTIVE 1
        confirm r1 9:1 -> UNKNOWN_LINE 9
    """,
    "the same line named twice is summed": """
        level A@DC1 5 v1
        reserve r1 A:3
        confirm r1 1:2 1:2 -> NOT_ACTIVE 1
        confirm r1 1:2 1:1
        = r1 committed 1:0/3
    """,
    "the rest of a partial confirm stays held until its deadline": """
        level A@DC1 5 v1
        reserve r1 A:3 ttl 10
        confirm r1 1:1
        wait 13
        = r1 committed 1:0/1
        = A@DC1 4 0 1
        confirm r1 1:1 -> EXPIRED 1
    """,
    "who confirms everything is told when a part of it has expired, and may take that again (R17)": """
        level A@DC1 5 v1
        reserve r1 A:3 ttl 10
        confirm r1 1:1 key 5
        wait 13
        confirm r1 -> EXPIRED
        confirm r1 1:1 key 5 -> REPLAYED replayed
        fulfil r1
        confirm r1 -> EXPIRED
        confirm r1 reacquire key 6
        confirm r1 -> REPLAYED replayed
        = r1 committed 1:0/2
        = A@DC1 2 0 2
    """,
    "release gives back what is held, by default": """
        level A@DC1 5 v1
        reserve r1 A:3
        confirm r1 1:1
        release r1
        = r1 committed 1:0/1
        = A@DC1 4 0 1
        release r1
        = r1 released 1:0/0
        = A@DC1 5 0 0
        release r1 -> REPLAYED replayed
    """,
    "release of both, of named lines, over several locations": """
        level A@DC1 2 v1
        level A@DC2 2 v1
        reserve r1 A:4
        confirm r1 1:3
        = A@DC1 0 0 2
        = A@DC2 0 1 1
        release r1 1:2 of all
        = A@DC1 1 0 1
        = A@DC2 1 0 1
        release r1 of held -> NOT_ACTIVE
        release r1 1:3 of committed -> NOT_ACTIVE 1
        release r1 of committed
        = A@DC1 2 0 0
        = A@DC2 2 0 0
    """,
    "a hold can be confirmed until its deadline and two seconds more (R17)": """
        level A@DC1 5 v1
        reserve r1 A:1 ttl 10
        reserve r2 A:1 ttl 10
        pass 11.9
        confirm r1
        pass 0.2
        confirm r2 -> EXPIRED
        = r2 expired 1:0/0
        = A@DC1 4 0 1
    """,
    "an ended reservation refuses with the reason": """
        level A@DC1 5 v1
        reserve r1 A:1 ttl 1
        reserve r2 A:1
        release r2
        confirm r2 -> NOT_ACTIVE
        extend r2 60 -> NOT_ACTIVE
        wait 4
        confirm r1 -> EXPIRED
        release r1 -> EXPIRED
        extend r1 60 -> EXPIRED
        confirm none -> NOT_FOUND
        release none -> NOT_FOUND
        extend none 60 -> NOT_FOUND
    """,
    "extend moves the deadline, never nearer and never past four hours": """
        level A@DC1 5 v1
        reserve r1 A:1 ttl 60
        extend r1 10
        wait 30
        extend r1 60 key 5
        extend r1 60 key 5 -> REPLAYED replayed
        wait 59
        = r1 held 1:1/0
        extend r1 14400 -> LIMIT_EXCEEDED
        wait 4
        = r1 expired 1:0/0
    """,
    "an expired hold is taken again and paid in one step, at its own place first (R17)": """
        level A@DC1 2 v1
        level A@DC2 5 v1
        reserve r1 A:2 ttl 1
        wait 4
        = A@DC1 2 0 0
        reserve r2 A:1
        confirm r1 -> EXPIRED
        confirm r1 reacquire
        = r1 committed 1:0/2
        = A@DC1 0 1 1
        = A@DC2 4 0 1
        confirm r1 reacquire -> REPLAYED replayed
    """,
    "what is gone cannot be taken again": """
        level A@DC1 2 v1
        reserve r1 A:2 ttl 1
        wait 4
        reserve r2 A:1
        confirm r1 reacquire -> INSUFFICIENT
        = r1 expired 1:0/0
        = A@DC1 1 1 0
        release r2
        confirm r1 reacquire
        = A@DC1 0 0 2
    """,
    "a refusal never stands on a due hold (R21)": """
        level A@DC1 2 v1
        reserve r1 A:1 ttl 1
        reserve r2 A:1 ttl 1
        settle 0
        pass 4
        reserve r3 A:1 -> AGAIN
        confirm r1 -> AGAIN
        release r1 -> AGAIN
        extend r1 60 -> AGAIN
        reserve r3 A:2 partial -> AGAIN
        reserve r3 A:1 replaces r1 -> AGAIN
        settle 1
        reserve r3 A:1
        reserve r4 A:1
        reserve r5 A:1 -> INSUFFICIENT
    """,
    "due holds are settled oldest first": """
        level A@DC1 2 v1
        reserve late A:1 ttl 5
        reserve early A:1 ttl 4
        settle 1
        wait 8
        = early expired 1:0/0
        = late held 1:1/0
        wait 0
        = late expired 1:0/0
    """,
    "the clock never runs backward": """
        level A@DC1 2 v1
        reserve r1 A:1 ttl 10
        wait 13
        = r1 expired 1:0/0
        pass -100
        reserve r2 A:1 ttl 10
        wait 50
        = r2 held 1:1/0
        pass 63
        wait 0
        = r2 expired 1:0/0
    """,
}


@pytest.mark.parametrize("name", TABLES)
def test_lifecycle(table: Table, name: str) -> None:
    table.run(TABLES[name])


def test_only_the_last_32_changes_are_remembered(table: Table) -> None:
    table.run("level A@DC1 50 v1\nreserve r1 A:40")
    for key in range(34):
        table.run(f"confirm r1 1:1 key {key}")
    table.run(
        """
        confirm r1 1:1 key 33 -> REPLAYED replayed
        confirm r1 1:1 key 2 -> REPLAYED replayed
        confirm r1 1:1 key 1
        = r1 held 1:5/35
        """
    )


def test_every_change_leaves_one_entry_with_the_record_and_its_balances(table: Table) -> None:
    table.run(
        """
        level A@DC1 9 v1
        reserve r1 A:4 ttl 10
        extend r1 20
        confirm r1 1:1
        release r1 1:1
        wait 23
        """
    )
    told = [entry for entry in table.entries if isinstance(entry, Held | Extended | Committed | Released | Expired)]
    assert [type(entry) for entry in told] == [Held, Extended, Committed, Released, Expired]
    assert [entry.seq for entry in told] == list(range(told[0].seq, told[0].seq + 5))
    left = [[(b.held, b.committed, b.free) for b in e.balances] for e in told if not isinstance(e, Extended)]
    assert left == [[(4, 0, 5)], [(3, 1, 5)], [(2, 1, 6)], [(0, 1, 8)]]
    assert [entry.reservation.state for entry in told] == ["held", "held", "held", "held", "committed"]
    assert isinstance(told[3], Released)
    assert told[3].reason == "reason"
