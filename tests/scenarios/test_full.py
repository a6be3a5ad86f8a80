"""A ledger whose memory is full takes what ends or moves units, and nothing that is new (R26)."""

import pytest

from tests.scenarios.table import Table

TABLES = {
    "what is there can be ended while memory is full": """
        level A@DC1 9 v1
        level A@DC2 3 v1
        reserve r1 A:2
        reserve r2 A:2 ttl 10
        reserve r3 A:1
        reserve r4 A:1
        confirm r4
        full
        reserve r5 A:1 -> NO_ROOM
        confirm r1
        release r3
        extend r2 20
        transfer r2 1:1 DC1 DC2
        acknowledge r4
        fulfil r4
        cursor 9
        wait 23
        = r2 expired 1:0/0
        = A@DC1 6 0 2
        full off
        reserve r5 A:1
    """,
    "a repeat is not decided either, and finds its first decision later": """
        level A@DC1 9 v1
        reserve r1 A:2
        full
        reserve r1 A:2 -> NO_ROOM
        full off
        reserve r1 A:2 -> REPLAYED replayed
    """,
    "levels and deltas of known positions only": """
        level A@DC1 9 v1
        full
        level A@DC1 7 v2
        delta A@DC1 -1 v3 e1
        = A@DC1 6 0 0
        level A@DC2 7 v1 -> NO_ROOM
        delta A@DC2 1 v2 e2 -> NO_ROOM
        level B@DC1 7 v1 -> NO_ROOM
        full off
        level B@DC1 7 v1
    """,
    "no policy": """
        item A {"safety_stock":1}
        full
        item A {} -> NO_ROOM
        location NEW {} -> NO_ROOM
        full off
        location NEW {}
    """,
    "units that expired are taken again while memory is full": """
        level A@DC1 2 v1
        reserve r1 A:2 ttl 1
        wait 4
        full
        confirm r1 reacquire
        = r1 committed 1:0/2
    """,
}


@pytest.mark.parametrize("name", TABLES)
def test_full(table: Table, name: str) -> None:
    table.run(TABLES[name])
