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
