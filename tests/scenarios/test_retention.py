"""Ended reservations leave in two steps, and their repeats are recognised until the end of the window (R18)."""

import pytest

from tests.scenarios.table import Table

DAY = 86_400

TABLES = {
    "an ended reservation shrinks when the journal has it and its time is over": """
        level A@DC1 9 v1
        reserve r1 A:2
        release r1 key 5
        wait 901
        = r1 released 1:0/0
        journal
        wait 0
        gone r1
        reserve r1 A:2 -> REPLAYED replayed
        reserve r1 A:2 as 2 -> KEY_REUSED
        reserve b2:r1 B:2 -> KEY_REUSED
        release r1 key 5 -> REPLAYED replayed
        release r1 key 5 body 2 -> KEY_REUSED
        release r1 -> REPLAYED replayed
        confirm r1 -> NOT_ACTIVE
        extend r1 60 -> NOT_ACTIVE
        confirm b2:r1 -> NOT_FOUND
    """,
    "what is not journaled stays whole": """
        level A@DC1 9 v1
        reserve r1 A:2
        release r1
        reserve r2 A:1
        wait 90000
        = r1 released 1:0/0
    """,
    "an expired one answers that it expired": """
        level A@DC1 9 v1
        reserve r1 A:2 ttl 1
        wait 5
        journal
        wait 901
        gone r1
        confirm r1 -> EXPIRED
        release r1 -> EXPIRED
        fulfil r1 -> EXPIRED
    """,
    "one of which a part was shipped and the rest had expired tells who pays late, and may take that again (R17)": """
        level A@DC1 9 v1
        reserve r1 A:3 ttl 60
        confirm r1 1:1 key 5
        wait 90
        fulfil r1
        journal
        wait 901
        gone r1
        confirm r1 1:1 key 5 -> REPLAYED replayed
        fulfil r1 -> REPLAYED replayed
        confirm r1 1:2 -> EXPIRED
        confirm r1 -> EXPIRED
        confirm r1 reacquire journaled
        = r1 committed 1:0/2
        = A@DC1 6 0 2
    """,
    "a fulfilled one answers repeats of what led there": """
        level A@DC1 9 v1
        reserve r1 A:2
        confirm r1
        fulfil r1
        journal
        wait 901
        gone r1
        confirm r1 -> REPLAYED replayed
        fulfil r1 -> REPLAYED replayed
        release r1 -> NOT_ACTIVE
        acknowledge r1 -> NOT_ACTIVE
    """,
    "one that came back to life is not cut down": """
        level A@DC1 9 v1
        reserve r1 A:2 ttl 1
        wait 4
        confirm r1 reacquire
        journal
        wait 901
        = r1 committed 1:0/2
    """,
    "one that is only a tombstone comes back with the journal's record (R17)": """
        level A@DC1 5 v1
        level A@DC2 5 v1
        reserve r1 A:3@DC2 ttl 1
        wait 5
        journal
        wait 901
        gone r1
        confirm r1 reacquire -> EXPIRED
        confirm r1 journaled -> EXPIRED
        confirm r1 reacquire journaled stale -> EXPIRED
        confirm r1 reacquire journaled key 5
        = r1 committed 1:0/3
        = A@DC2 2 0 3
        confirm r1 reacquire journaled key 5 -> REPLAYED replayed
        reserve r1 A:3@DC2 ttl 1 -> REPLAYED replayed
        fulfil r1
    """,
    "units that are gone are not taken, and the tombstone stays": """
        level A@DC1 3 v1
        reserve r1 A:3 ttl 1
        wait 5
        reserve r2 A:1
        journal
        wait 901
        gone r1
        reserve r3 A:2
        confirm r1 reacquire journaled -> INSUFFICIENT
        gone r1
        release r3
        reserve r4 A:1
        confirm r1 reacquire journaled -> INSUFFICIENT
        confirm r1 -> EXPIRED
        release r4
        confirm r1 reacquire journaled
        = A@DC1 0 0 3
    """,
    "also from another location, and also when even the tombstone is gone": """
        level A@DC1 3 v1
        reserve r1 A:3 ttl 1
        wait 5
        journal
        wait 901
        wait 86400
        confirm r1 reacquire -> NOT_FOUND
        level A@DC2 3 v1
        level A@DC1 1 v2
        confirm r1 reacquire journaled
        = r1 committed 1:0/3
        = A@DC1 0 0 1
        = A@DC2 1 0 2
    """,
    "one that came back outlives the day of its tombstone, and is buried again": """
        level A@DC1 3 v1
        reserve r1 A:3 ttl 1
        wait 5
        journal
        wait 901
        confirm r1 reacquire journaled
        wait 86400
        = r1 committed 1:0/3
        release r1
        journal
        wait 901
        gone r1
        release r1 -> REPLAYED replayed
        wait 86400
        release r1 -> NOT_FOUND
    """,
    "buried again before its first tombstone's day, it stays for its second": """
        level A@DC1 3 v1
        reserve r1 A:3 ttl 1
        wait 5
        journal
        wait 901
        confirm r1 reacquire journaled
        release r1
        journal
        wait 901
        gone r1
        wait 84800
        release r1 -> REPLAYED replayed
        wait 1000
        release r1 -> NOT_FOUND
    """,
    "only what expired comes back": """
        level A@DC1 3 v1
        reserve r1 A:3
        release r1 key 5
        reserve r2 A:1 ttl 1
        extend r2 1 key 6
        wait 5
        journal
        wait 901
        confirm r1 reacquire journaled -> NOT_ACTIVE
        wait 86400
        confirm r1 reacquire journaled -> NOT_FOUND
        confirm r2 reacquire journaled key 6 body 9 -> KEY_REUSED
        confirm r2 reacquire journaled key 6 -> REPLAYED replayed
        confirm b2:r1 reacquire -> NOT_FOUND
    """,
    "after a day the id is forgotten, and may be used anew": """
        level A@DC1 9 v1
        reserve r1 A:2
        release r1
        journal
        wait 901
        reserve r1 A:2 -> REPLAYED replayed
        wait 86400
        confirm r1 -> NOT_FOUND
        reserve r1 A:3 as 2
        = r1 held 1:3/0
    """,
    "an ended basket is ignored by its replacement, also as a tombstone": """
        level A@DC1 9 v1
        reserve r1 A:2
        release r1
        journal
        wait 901
        gone r1
        reserve r2 A:2 replaces r1
    """,
}


@pytest.mark.parametrize("name", TABLES)
def test_retention(table: Table, name: str) -> None:
    table.run(TABLES[name])


def test_one_batch_retires_a_bounded_number(table: Table) -> None:
    table.run("level A@DC1 900 v1")
    commands = [table.command("reserve", [f"r{n}", "A:1"]) for n in range(300)]
    commands += [table.command("release", [f"r{n}"]) for n in range(300)]
    for start in range(0, 600, 200):
        table.law.apply(commands[start : start + 200], table.now)
    table.run("journal\nwait 901")
    assert len(table.law.dump()["tombstones"]) == 256
    table.run("wait 0")
    state = table.law.dump()
    assert len(state["tombstones"]) == 300
    assert not state["reservations"]
    table.run(f"wait {DAY}")
    assert len(table.law.dump()["tombstones"]) == 44
    table.run("wait 0")
    assert not table.law.dump()["tombstones"]


def test_what_ended_long_ago_is_cut_down_before_anything_ends_in_the_same_batch(table: Table) -> None:
    """As in a replay, which goes by the clock: a basket whose legs have not heard goes to the queue's end again."""
    table.run("""
        level A@DC1 9 v1
        open r1 A:4 far:3
        take r1 A:4
        decide r1 A:4@DC1 far:3@FAR
        release r1
        reserve r2 A:1 ttl 900
        journal
        wait 903
        = r2 expired 1:0/0
    """)
    assert [(when - table.now, identity) for _, when, identity in table.law.dump()["ended"]] == [(0, "r1"), (0, "r2")]
