"""Fulfil, acknowledge, transfer: committed units leave, are counted, or move, and no unit is sold again meanwhile."""

import pytest

from atp.domain.entries import Acknowledged, Fulfilled, Transferred
from tests.scenarios.table import Table

TABLES = {
    "shipped units stay subtracted until a level shows them (R8)": """
        level A@DC1 10 v1
        reserve r1 A:4
        confirm r1
        fulfil r1
        = r1 fulfilled 1:0/0
        = A@DC1 6 0 0
        level A@DC1 10 v2 at 30
        = A@DC1 6 0 0
        level A@DC1 6 v3 at 200
        = A@DC1 6 0 0
    """,
    "a level of another source counts no shipment": """
        level A@DC1 10 v1
        reserve r1 A:4
        confirm r1
        fulfil r1
        level A@DC1 6 v1 at 900 by erp
        = A@DC1 6 0 0
    """,
    "one parcel told twice counts once, whatever the key": """
        level A@DC1 10 v1
        reserve r1 A:4
        confirm r1
        fulfil r1 1:1 shipment 77
        fulfil r1 1:1 shipment 77 -> REPLAYED replayed
        fulfil r1 1:1 shipment 78 key 5
        fulfil r1 1:1 shipment 79 key 5 -> REPLAYED replayed
        = r1 committed 1:0/2
        fulfil r1 1:3 -> NOT_ACTIVE 1
        fulfil r1
        fulfil r1 -> REPLAYED replayed
        = A@DC1 6 0 0
    """,
    "only committed units are fulfilled or acknowledged": """
        level A@DC1 10 v1
        reserve r1 A:4 ttl 5
        fulfil r1 -> NOT_ACTIVE
        acknowledge r1 -> NOT_ACTIVE
        fulfil none -> NOT_FOUND
        acknowledge none -> NOT_FOUND
        fulfil r1 9:1 -> UNKNOWN_LINE 9
        wait 8
        fulfil r1 -> EXPIRED
        acknowledge r1 -> EXPIRED
    """,
    "acknowledged units are part of committed and change no free": """
        level A@DC1 10 v1
        reserve r1 A:4
        confirm r1
        acknowledge r1 1:1
        = r1 committed 1:0/4
        acknowledge r1
        = r1 acknowledged 1:0/4
        acknowledge r1 -> REPLAYED replayed
        = A@DC1 6 0 4
        release r1
        = r1 released 1:0/0
        = A@DC1 10 0 0
    """,
    "a transfer moves units in one step": """
        level A@DC1 4 v1
        level A@DC2 3 v1
        reserve r1 A:4@DC1
        transfer r1 1:3 DC1 DC2 key 5
        transfer r1 1:3 DC1 DC2 key 5 -> REPLAYED replayed
        = A@DC1 3 1 0
        = A@DC2 0 3 0
        confirm r1
        = A@DC1 3 0 1
        = A@DC2 0 0 3
        transfer r1 1:1 DC2 DC1
        = A@DC1 2 0 2
        = A@DC2 1 0 2
    """,
    "a transfer is refused with the reason": """
        level A@DC1 4 v1
        level A@DC2 1 v1
        reserve r1 A:4@DC1
        transfer r1 1:2 DC1 DC2 -> INSUFFICIENT
        transfer r1 1:1 DC2 DC1 -> NOT_ACTIVE 1
        transfer r1 9:1 DC1 DC2 -> UNKNOWN_LINE 9
        transfer r1 1:1 DC1 nowhere -> UNKNOWN_LOCATION nowhere
        transfer none 1:1 DC1 DC2 -> NOT_FOUND
        = A@DC1 0 4 0
        location DC2 {"kind":"warehouse","active":false}
        transfer r1 1:1 DC1 DC2 -> INSUFFICIENT
    """,
    "what was acknowledged at one location is not at another (R1)": """
        level A@DC1 4 v1
        level A@DC2 4 v1
        reserve r1 A:2@DC1
        confirm r1
        acknowledge r1
        transfer r1 1:2 DC1 DC2
        = r1 committed 1:0/2
    """,
}


@pytest.mark.parametrize("name", TABLES)
def test_fulfilment(table: Table, name: str) -> None:
    table.run(TABLES[name])


def test_each_leaves_its_entry_with_what_is_left(table: Table) -> None:
    table.run(
        """
        level A@DC1 9 v1
        level A@DC2 9 v1
        reserve r1 A:3@DC1
        confirm r1
        acknowledge r1
        transfer r1 1:1 DC1 DC2
        fulfil r1 1:2
        """
    )
    told = [entry for entry in table.entries if isinstance(entry, Acknowledged | Transferred | Fulfilled)]
    assert [type(entry) for entry in told] == [Acknowledged, Transferred, Fulfilled]
    left = [[(b.location, b.committed, b.shipped_uncounted, b.free) for b in entry.balances] for entry in told]
    assert left == [
        [("DC1", 3, 0, 6)],
        [("DC1", 2, 0, 7), ("DC2", 1, 0, 8)],
        [("DC1", 0, 2, 7), ("DC2", 1, 0, 8)],
    ]
