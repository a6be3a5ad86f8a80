"""Exceptions: told once while they are open, ended once."""

import pytest

from atp.domain.entries import ExceptionRaised, ExceptionResolved
from tests.scenarios.table import Table

TABLES = {
    "one is told once while it is open, and again when it was over": """
        raise drift A@DC1 -> APPLIED
        raise drift A@DC1 -> DUPLICATE
        raise drift A@DC2 -> APPLIED
        raise gap A@DC1 -> APPLIED
        resolve drift A@DC1 -> APPLIED
        resolve drift A@DC1 -> NOT_FOUND drift
        raise drift A@DC1 -> APPLIED
    """,
    "a shortage that a person accepted ends by itself all the same": """
        level A@DC1 5 v1
        reserve r1 A:5
        level A@DC1 4 v2
        resolve shortage A@DC1 of 9 -> NOT_FOUND shortage
        resolve shortage A@DC1 -> APPLIED
        shortage A@DC1 1 report 0 open
        level A@DC1 5 v3
        shortage A@DC1 none
        resolve shortage A@DC1 -> NOT_FOUND shortage
        resolve shortage A@DC2 of 9 -> NOT_FOUND shortage
    """,
    "while a loss is not accepted nothing is sold, and what is sold goes on": """
        level A@DC1 5 v1
        reserve r1 A:1 ttl 60
        reserve r2 A:1 ttl 60
        raise loss @ -> APPLIED
        reserve r3 A:1 -> RECOVERING
        reserve r4 A:1 dry -> RECOVERING
        reserve r1 A:1 ttl 60 -> REPLAYED replayed
        confirm r1 -> APPLIED
        wait 70
        confirm r2 reacquire -> RECOVERING
        level A@DC1 6 v2 -> APPLIED
        resolve loss @ -> APPLIED
        reserve r3 A:1 -> APPLIED
        confirm r2 reacquire -> APPLIED
    """,
    "a person who looks at an older one does not end the newer one": """
        raise drift A@DC1
        resolve drift A@DC1 of 9 -> NOT_FOUND drift
        resolve drift A@DC1 -> APPLIED
    """,
}


def test_entries_say_what_is_open_and_how_it_ended(table: Table) -> None:
    table.run("""
        raise drift A@DC1
        resolve drift A@DC1
    """)
    raised = next(entry for entry in table.entries if isinstance(entry, ExceptionRaised))
    resolved = next(entry for entry in table.entries if isinstance(entry, ExceptionResolved))
    assert (raised.kind, raised.sku, raised.location, raised.detail) == ("drift", "A", "DC1", "seen")
    assert (resolved.kind, resolved.raised, resolved.resolution, resolved.client) == (
        "drift", raised.seq, "accepted", "tests",
    )  # fmt: skip


@pytest.mark.parametrize("name", TABLES)
def test_exceptions(table: Table, name: str) -> None:
    table.run(TABLES[name])
