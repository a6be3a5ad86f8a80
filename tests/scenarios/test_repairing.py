"""Repairs: by the difference that was seen, once, and of what still is what was seen."""

import pytest

from atp.domain.repair_entries import Corrected, RecordPutBack, Repaired
from tests.scenarios.laws import START_MS
from tests.scenarios.table import Table

TABLES = {
    "counters of a position change by their drift, whatever was written meanwhile": """
        level A@DC1 10 v1
        reserve r1 A:4
        drift A@DC1
        reserve r2 A:1
        repair A@DC1 held 2 committed 1
        = A@DC1 2 7 1
        drift A@DC1
        repair A@DC1 held -2 committed -1
        = A@DC1 5 5 0
    """,
    "a repair counts once, by the exception that tells of the drift": """
        level A@DC1 10 v1
        repair A@DC1 held 2 of 9 -> NOT_FOUND drift
        drift A@DC1
        repair A@DC1 held 2
        raised none
        repair A@DC1 held 2 of 4 -> NOT_FOUND drift
        drift A@DC2
        repair A@DC1 held 2 -> NOT_FOUND drift
        = A@DC1 8 2 0
    """,
    "days of supply": """
        level A@DC1 10 v1
        drift A@DC1
        repair A@DC1 quantity:d3/at 5 due:d4 2 pegged:d3 2
        atp A@DC1 10 d3 13
        drift A@DC1
        repair A@DC1 quantity:d3 -5 due:d4 -2 pegged:d3 -2
        atp A@DC1 10 d3 10
    """,
    "what a seller used, while it counts as it did": """
        level A@DC1 10 v1
        share A web {"cap":5}
        reserve r1 A:2
        drift A
        repair A used:web/1 2 -> MOVED_ON
        repair A used:app/9 2 -> MOVED_ON
        repair A used:web/9 2 sums 0
        ats A web 1
        raised none
    """,
    "what customers hold, if it is what was seen; all of a command or nothing": """
        level A@DC1 10 v1
        channel web {"held_units_per_customer":5}
        reserve r1 A:2 for c1
        drift none
        repair none holding:web|c1/3 2 -> MOVED_ON
        repair none holding:web|c1/2 2 holding:web|c2/1 1 -> MOVED_ON
        repair none holding:web|c1/2 3 holding:web|c2/0 4
        reserve r2 A:1 for c1 -> LIMIT_EXCEEDED
        reserve r3 A:2 for c2 -> LIMIT_EXCEEDED
        drift none
        repair none holding:web|c1/5 -5
        reserve r2 A:5 for c1
    """,
    "what customers bought in a campaign": """
        level A@DC1 10 v1
        campaign bf +0 +600 A:9 {"per_customer":3}
        reserve r1 A:2 for c1 in bf
        drift A
        repair A buyers:bf|c1/1 1 -> MOVED_ON
        repair A buyers:bf|c1/2 -2 buyers:bf|c2/0 3
        reserve r2 A:3 for c1 in bf
        reserve r3 A:1 for c2 in bf -> LIMIT_EXCEEDED
    """,
    "a source's number, and the shortage that it was": """
        level A@DC1 10 v1
        reserve r1 A:8
        drift A@DC1 for wms
        repair A@DC1 number -4 for wms
        = A@DC1 -2 8 0
        shortage A@DC1 2 report 0 open
        drift A@DC1 for wms
        repair A@DC1 number 4 for wms
        shortage A@DC1 none
    """,
    "acknowledged units that a source counts, or will; not once it does": """
        source wms {"kind":"wms","measure":"available"}
        level A@DC1 10 v1
        reserve r1 A:4
        confirm r1
        acknowledge r1 by wms v3
        drift A@DC1
        repair A@DC1 included:wms 1 pending:wms|1|0|3 -1 pending:wms|1|0|5 2
        = A@DC1 7 0 4
        level A@DC1 10 v4
        = A@DC1 10 0 4
        drift A@DC1
        repair A@DC1 included:wms 1 pending:wms|1|0|4 1 -> MOVED_ON
        repair A@DC1 included:wms -4 included:erp 1 pending:erp|1|0|1 1
        = A@DC1 6 0 4
        level A@DC1 10 v6
        = A@DC1 8 0 4
    """,
    "an exception that is open, or is not, if that is what was seen": """
        drift r1
        drift none
        repair none exception:drift||||b1:r1/3 -3 -> MOVED_ON
        repair none exception:drift||||b1:r1/5 -5 exception:drift|A|||/0 9 count:exceptions 0
        raised drift A - - -
    """,
    "indexes are made anew": """
        level A@DC1 10 v1
        fulfilled X A:4 v2 e1 -> AWAITED
        reserve r1 A:4
        drift A
        repair A places:DC1 0 places:DC2 0
        = A@DC1 6 4 0
        drift none
        repair none awaited:X 0 awaited:Y 0 count:awaited 0 count:baskets 0
        drift r1
        putback r1
    """,
    "floors see a repair": """
        level A@DC1 10 v1
        share A app {"protection":4}
        ats A web 6
        drift A@DC1
        repair A@DC1 held 3
        ats A web 3
        drift A
        repair A sums 0
        ats A web 3
        ats A app 7
    """,
    "a record that was lost comes back with its deadline, and counters stay": """
        level A@DC1 10 v1
        reserve r1 A:4 ttl 60 order X
        journal
        drift r1
        putback r1 of 3 -> NOT_FOUND drift
        putback r1 journaled stale -> MOVED_ON
        putback r1 journaled
        = A@DC1 6 4 0
        = r1 held 1:4/0
        wait 70
        = A@DC1 10 0 0
    """,
    "a newer record than the journal's stays": """
        level A@DC1 10 v1
        reserve r1 A:4
        journal
        drift r1
        putback r1 journaled stale -> MOVED_ON
        drift r2
        putback r2 order X
        names X 0
        raised drift - - - b1:r1
    """,
    "the index of orders": """
        level A@DC1 10 v1
        reserve r1 A:4 order X
        reserve r2 A:1 order Y
        drift r1
        putback r1 order Y
        names X 1
        names Y 1
        confirm r1 order Z
        names X 0
    """,
}


@pytest.mark.parametrize("name", TABLES)
def test_repairs(table: Table, name: str) -> None:
    table.run(TABLES[name])


def test_the_entries_say_what_it_was(table: Table) -> None:
    table.run("""
        level A@DC1 10 v1
        reserve r1 A:4 order X
        drift A@DC1
        repair A@DC1 held 2
        drift r1
        putback r1
    """)
    repaired = next(entry for entry in table.entries if isinstance(entry, Repaired))
    assert (repaired.client, repaired.cause, repaired.sku, repaired.location) == ("checker", "cause", "A", "DC1")
    assert repaired.corrected == [Corrected("held", "", 4, 6)]
    assert [balance.held for balance in repaired.balances] == [6]
    back = next(entry for entry in table.entries if isinstance(entry, RecordPutBack))
    assert (back.id, [record.seq for record in back.record]) == ("b1:r1", [back.seq])
    assert [balance.held for balance in back.balances] == [6]


def test_a_record_put_back_has_the_deadline_that_counts_at_once(table: Table) -> None:
    """The journal's record is from before the outage that moved it (R22)."""
    table.run("level A@DC1 10 v1\nreserve r1 A:4 ttl 60\njournal\noutage 700\ndrift r1")
    put_back, asked = table.command("putback", ["r1", "journaled"]), table.command("reserve", ["r1", "A:4"])
    results, (entry, *_) = table.apply([put_back, asked])
    assert results[1].reservation is not None
    assert isinstance(entry, RecordPutBack)
    told = [results[1].reservation.expires_at, entry.record[0].expires_at]
    assert [at - START_MS for at in told] == [728_000, 728_000]
