"""Units that cannot be sold: kept per source, with versions of their own (R14)."""

import pytest

from atp.domain.entries import ExceptionRaised, ShortageFound, SourceSeen, StatusSet
from tests.scenarios.table import Table

TABLES = {
    "unsellable units are not sold": """
        level A@DC1 10 v1
        status A@DC1 3 v2
        = A@DC1 7 0 0
        reserve r1 A:8 -> INSUFFICIENT
        reserve r2 A:7
        status A@DC1 0 v3
        = A@DC1 3 7 0
    """,
    "a status and a level do not make each other stale (R14)": """
        status A@DC1 3 v12
        level A@DC1 10 v11
        = A@DC1 7 0 0
        status A@DC1 4 v11 -> STALE
        status A@DC1 4 v12 -> STALE
        status A@DC1 4 v12 pos 3
        status A@DC1 5 v12 pos 3 -> STALE
        status A@DC1 5 v13 pos 1
        level A@DC1 12 v12
        = A@DC1 7 0 0
    """,
    "only the authority's counts": """
        location DC1 {"kind":"store","sources":[{"source":"wms","role":"authority"},{"source":"erp","role":"shadow"}]}
        level A@DC1 10 v1
        status A@DC1 3 v1 by erp
        = A@DC1 10 0 0
        level A@DC1 9 v1 by erp
        location DC1 {"kind":"store","sources":[{"source":"erp","role":"authority"}]}
        = A@DC1 6 0 0
    """,
    "it is refused as levels are": """
        level A@DC1 10 v1
        cursor 5
        status A@DC1 3 v2 pos 5 -> SETTLED
        status A@NEW 3 v2 -> UNKNOWN_LOCATION NEW
        status A@DC1 3 v2 time -> VERSION_KIND_MISMATCH sequence
        = A@DC1 10 0 0
    """,
    "it makes no source the authority": """
        status A@DC1 3 v1 by erp
        level A@DC1 10 v1
        = A@DC1 10 0 0
    """,
}


@pytest.mark.parametrize("name", TABLES)
def test_status(table: Table, name: str) -> None:
    table.run(TABLES[name])


def test_its_entry_has_the_balance_and_a_shortage_follows(table: Table) -> None:
    table.run(
        """
        level A@DC1 10 v1
        reserve r1 A:8
        status A@DC1 3 v2 at -5
        status A@DC1 3 v3
        status A@DC1 1 v4
        """
    )
    told = [entry for entry in table.entries if isinstance(entry, StatusSet)]
    assert [(e.source, e.unsellable, e.balances[0].free, e.balances[0].unsellable) for e in told] == [
        ("wms", 3, -1, 3),
        ("wms", 3, -1, 3),
        ("wms", 1, 1, 1),
    ]
    assert [(e.sku, e.short_by) for e in table.entries if isinstance(e, ShortageFound)] == [("A", 1)]
    assert table.law.dump()["sources"]["wms"][:3] == ("sequence", 1, 5_000)


def test_the_first_word_of_a_source_may_be_a_status(table: Table) -> None:
    table.run("status A@DC1 3 v1 by erp")
    assert [type(entry) for entry in table.entries][-3:] == [SourceSeen, ExceptionRaised, StatusSet]


def test_of_other_measures_unsellable_units_are_shown_and_make_no_shortage(table: Table) -> None:
    table.run(
        """
        source wms {"kind":"wms","measure":"available"}
        level A@DC1 4 v1
        reserve r1 A:4
        status A@DC1 3 v2
        """
    )
    balance = next(entry for entry in table.entries if isinstance(entry, StatusSet)).balances[0]
    assert (balance.unsellable, balance.free) == (3, 0)
    assert not [entry for entry in table.entries if isinstance(entry, ShortageFound)]
