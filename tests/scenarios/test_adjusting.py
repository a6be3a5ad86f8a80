"""A person's correction of the authority's number: at once, once, and until the source's next newer level."""
# ruff: noqa: E501 - policies of tables are one line

import pytest

from atp.domain.entries import Adjusted, ShortageFound
from tests.scenarios.table import Table

TABLES = {
    "it counts at once and the next newer level includes it": """
        level A@DC1 10 v5
        adjust A@DC1 -2
        = A@DC1 8 0 0
        adjust A@DC1 3
        = A@DC1 11 0 0
        level A@DC1 8 v6
        = A@DC1 8 0 0
    """,
    "an old level and a repeat of the last one leave it": """
        level A@DC1 10 v5 pos 3
        adjust A@DC1 -2
        level A@DC1 99 v4 pos 4 -> STALE
        level A@DC1 10 v5 pos 3 -> STALE
        = A@DC1 8 0 0
    """,
    "a second level of the same version is still below it": """
        level A@DC1 10 v5 pos 3
        adjust A@DC1 -2
        level A@DC1 20 v5 pos 4
        = A@DC1 18 0 0
    """,
    "deltas of the source and corrections add up in either order": """
        level A@DC1 10 v5
        delta A@DC1 -1 v7 e1
        adjust A@DC1 -2
        delta A@DC1 -4 v6 e2
        = A@DC1 3 0 0
        level A@DC1 9 v6
        = A@DC1 8 0 0
    """,
    "a version at the edge of its halves": """
        level A@DC1 10 v4294967295
        adjust A@DC1 -2
        level A@DC1 10 v4294967295 pos 9
        = A@DC1 8 0 0
        level A@DC1 7 v4294967296
        = A@DC1 7 0 0
    """,
    "a repeat of the call changes nothing, also after the level that includes it": """
        level A@DC1 10 v5
        adjust A@DC1 -2 key 7
        adjust A@DC1 -2 key 7 -> REPLAYED replayed
        adjust A@DC1 -3 key 7 body 2 -> KEY_REUSED
        level A@DC1 8 v6
        adjust A@DC1 -2 key 7 -> REPLAYED replayed
        = A@DC1 8 0 0
    """,
    "the repeats of a day are known": """
        level A@DC1 10 v5
        adjust A@DC1 -2 key 7
        adjust A@DC1 -1 key 8
        adjust A@DC1 -1 key 9
        outage 86399
        adjust A@DC1 -2 key 7 -> REPLAYED replayed
        level A@DC1 6 v6
        outage 2
        adjust A@DC1 -2 key 7
        adjust A@DC1 -1 key 9
        = A@DC1 3 0 0
    """,
    "a position that the source has not told of": """
        level B@DC1 1 v5
        adjust A@DC1 4
        = A@DC1 4 0 0
        delta A@DC1 2 v6 e1
        = A@DC1 6 0 0
        level A@DC1 5 v7
        = A@DC1 5 0 0
    """,
    "only the authority's number is corrected": """
        location DC1 {"kind":"warehouse","sources":[{"source":"wms","role":"authority"},{"source":"erp","role":"shadow"}]}
        level A@DC1 10 v5
        level A@DC1 7 v5 by erp
        adjust A@DC1 -2
        = A@DC1 8 0 0
        location DC1 {"kind":"warehouse","sources":[{"source":"wms","role":"shadow"},{"source":"erp","role":"authority"}]}
        = A@DC1 7 0 0
    """,
    "nothing to correct": """
        adjust A@MARS 1 -> UNKNOWN_LOCATION MARS
        adjust A@DC1 1 -> NO_AUTHORITY DC1
        location DC1 {"kind":"warehouse","sources":[{"source":"wms","role":"authority"}]}
        adjust A@DC1 1 -> NO_AUTHORITY DC1
        level A@DC1 1 v1
        adjust A@DC1 1
        = A@DC1 2 0 0
    """,
    "units that are promised are missed": """
        level A@DC1 5 v5
        reserve r1 A:4
        adjust A@DC1 -2
        shortage A@DC1 1 report 0 open
        adjust A@DC1 1
        shortage A@DC1 none
    """,
    "a full memory takes none": """
        level A@DC1 5 v5
        full
        adjust A@DC1 1 -> NO_ROOM
        full off
        adjust A@DC1 1
        = A@DC1 6 0 0
    """,
}


@pytest.mark.parametrize("name", TABLES)
def test_corrections(table: Table, name: str) -> None:
    table.run(TABLES[name])


def test_the_entry_says_who_and_why(table: Table) -> None:
    table.run("""
        level A@DC1 5 v5
        reserve r1 A:4
        adjust A@DC1 -2 key 7 body 3
    """)
    (told,) = [entry for entry in table.entries if isinstance(entry, Adjusted)]
    assert (told.client, told.cause, told.reason) == ("manager", "cause", "counted")
    assert (told.source, told.quantity, told.number, told.version) == ("wms", -2, 3, (1, 0, 6))
    assert (told.event, told.body) == (7, 3)
    (balance,) = told.balances
    assert (balance.number, balance.held) == (3, 4)
    (found,) = [entry for entry in table.entries if isinstance(entry, ShortageFound)]
    assert (found.short_by, found.cause) == (1, "cause")
