"""Reserve: all lines or none, where units are drawn, what a repeat gets, and what a refusal says."""

import pytest

from atp.domain.outcomes import Outcome
from atp.domain.records import Shortfall
from tests.scenarios.laws import START_MS
from tests.scenarios.table import Table

TABLES = {
    "units are held and a second buyer gets what is left": """
        level A@DC1 10 v1
        reserve r1 A:4
        = A@DC1 6 4 0
        = r1 held 1:4/0
        reserve r2 A:7 -> INSUFFICIENT
        reserve r3 A:6
        = A@DC1 0 10 0
    """,
    "a line that names a location draws only there": """
        level A@DC1 3 v1
        level A@DC2 9 v1
        reserve r1 A:4@DC1 -> INSUFFICIENT
        reserve r2 A:3@DC1
        = A@DC1 0 3 0
        = A@DC2 9 0 0
    """,
    "a look-up finds what was decided, and decides nothing": """
        level A@DC1 3 v1
        recall r1 -> NOT_FOUND
        reserve r1 A:3
        recall r1 -> REPLAYED replayed
        recall r1 as 2 -> KEY_REUSED
        recall b2:r1 -> KEY_REUSED
        reserve r2 A:1 -> INSUFFICIENT
        recall r2 -> INSUFFICIENT replayed
        recall r2 as 2 -> KEY_REUSED
        recall r3 -> NOT_FOUND
        full
        recall r1 -> REPLAYED replayed
        full off
        release r1
        recall r1 -> REPLAYED replayed
        wait 1000
        journal
        wait 1
        gone r1
        recall r1 -> REPLAYED replayed
        wait 90
        reserve r2 A:1
        = A@DC1 2 1 0
    """,
    "all lines or none": """
        level A@DC1 10 v1
        level B@DC1 1 v1
        reserve r1 A:4 B:2 -> INSUFFICIENT
        = A@DC1 10 0 0
        = B@DC1 1 0 0
        reserve r2 A:4 B:1
        = r2 held 1:4/0 2:1/0
    """,
    "the same sku on two lines is summed": """
        level A@DC1 10 v1
        reserve r1 A:6 A:5 -> INSUFFICIENT
        reserve r2 A:6@DC1 A:5@DC1 -> INSUFFICIENT
        reserve r3 A:6 A:4
        = A@DC1 0 10 0
    """,
    "a located line draws before one that may go elsewhere": """
        level A@DC1 5 v1
        level A@DC2 5 v1
        reserve r1 A:5 A:5@DC1
        = A@DC1 0 5 0
        = A@DC2 0 5 0
    """,
    "the first location by rank that covers all lines": """
        level A@DC1 5 v1
        level A@DC2 5 v1
        level B@DC2 5 v1
        reserve r1 A:2 B:2
        = A@DC1 5 0 0
        = A@DC2 3 2 0
        = B@DC2 3 2 0
    """,
    "else per line the first that covers it whole": """
        level A@DC1 1 v1
        level A@DC2 5 v1
        level B@S1 5 v1
        reserve r1 A:2 B:2
        = A@DC1 1 0 0
        = A@DC2 3 2 0
        = B@S1 3 2 0
    """,
    "else filled by rank, ties by id": """
        level A@S1 5 v1
        level A@DC2 2 v1
        level A@DC1 2 v1
        reserve r1 A:6
        = A@DC1 0 2 0
        = A@DC2 0 2 0
        = A@S1 3 2 0
    """,
    "a shortage at one location neither hides nor borrows another's stock": """
        level A@DC1 -4 v1
        level A@DC2 3 v1
        reserve r1 A:4 -> INSUFFICIENT
        reserve r2 A:3
        = A@DC1 -4 0 0
        = A@DC2 0 3 0
    """,
    "safety stock is withheld, per location where one is named": """
        level A@DC1 5 v1
        level A@DC2 5 v1
        item A {"safety_stock":4,"safety_stock_by_location":{"DC2":2}}
        = A@DC1 1 0 0
        = A@DC2 3 0 0
        reserve r1 A:4@DC2 -> INSUFFICIENT
        reserve r2 A:4
        = A@DC1 0 1 0
        = A@DC2 0 3 0
    """,
    "an inactive location sells nothing": """
        level A@DC1 5 v1
        location DC1 {"kind":"warehouse","active":false}
        reserve r1 A:1 -> INSUFFICIENT
        reserve r2 A:1@DC1 -> INSUFFICIENT
        location DC1 {"kind":"warehouse"}
        reserve r3 A:1
    """,
    "an unknown location comes before too little stock": """
        level A@DC1 5 v1
        reserve r1 A:9 A:1@nowhere -> UNKNOWN_LOCATION 1
        = A@DC1 5 0 0
    """,
    "the same id again is the same decision, with the state now": """
        level A@DC1 5 v1
        reserve r1 A:2
        reserve r1 A:2 -> REPLAYED replayed
        confirm r1
        reserve r1 A:2 -> REPLAYED replayed
        = A@DC1 3 0 2
        reserve r1 A:3 as 2 -> KEY_REUSED
    """,
    "one key is one request, whatever sku comes first in it": """
        level A@DC1 5 v1
        level B@DC1 5 v1
        reserve r1 A:2
        reserve b2:r1 B:2 as 2 -> KEY_REUSED
        confirm b2:r1 -> NOT_FOUND
        release b2:r1 -> NOT_FOUND
        = r1 held 1:2/0
        reserve r2 A:9 -> INSUFFICIENT
        reserve b2:r2 B:1 as 2 -> KEY_REUSED
    """,
    "a refusal is remembered: a repeat never turns from no to yes": """
        level A@DC1 1 v1
        reserve r1 A:2 -> INSUFFICIENT
        level A@DC1 9 v2
        reserve r1 A:2 -> INSUFFICIENT replayed
        reserve r1 A:1 as 2 -> KEY_REUSED
        reserve r2 A:2
        wait 130
        reserve r1 A:2
    """,
    "a refusal outlives the change of generations once": """
        level A@DC1 1 v1
        reserve r1 A:2 -> INSUFFICIENT
        pass 61
        reserve r2 A:2 -> INSUFFICIENT
        reserve r1 A:2 -> INSUFFICIENT replayed
        pass 61
        reserve r1 A:1
    """,
    "a partial grant takes what there is, and nothing at all is a refusal": """
        level A@DC1 3 v1
        level A@DC2 2 v1
        level B@DC1 1 v1
        reserve r1 A:9 B:1 C:2 partial
        = r1 held 1:5/0 2:1/0 3:0/0
        = A@DC1 0 3 0
        = A@DC2 0 2 0
        reserve r2 A:1 C:1 partial -> INSUFFICIENT
        reserve r2 A:1 C:1 partial -> INSUFFICIENT replayed
    """,
    "a partial grant at a named location draws only there": """
        level A@DC1 3 v1
        level A@DC2 9 v1
        reserve r1 A:5@DC1 partial
        = A@DC1 0 3 0
        = A@DC2 9 0 0
    """,
    "without splitting, one location covers all lines or none does": """
        level A@DC1 3 v1
        level A@DC2 4 v1
        level B@DC2 1 v1
        reserve r1 A:5 whole -> INSUFFICIENT
        reserve r2 A:3 B:2 whole -> INSUFFICIENT
        reserve r3 A:3 B:1 whole
        = A@DC1 3 0 0
        = A@DC2 1 3 0
    """,
    "a partial grant without splitting takes the location that gives most": """
        level A@DC1 3 v1
        level A@DC2 4 v1
        level A@S1 4 v1
        reserve r1 A:5 whole partial
        = A@DC1 3 0 0
        = A@DC2 0 4 0
        = A@S1 4 0 0
    """,
    "a dry run answers and holds nothing": """
        level A@DC1 3 v1
        reserve r1 A:2 dry -> QUOTED
        = A@DC1 3 0 0
        reserve r1 A:9 dry -> INSUFFICIENT
        reserve r1 A:3
        = A@DC1 0 3 0
    """,
    "a basket that replaces one is never blocked by it (R37)": """
        level A@DC1 3 v1
        reserve r1 A:3
        reserve r2 A:3 -> INSUFFICIENT
        reserve r3 A:2 replaces r1
        = r1 released 1:0/0
        = r3 held 1:2/0
        = A@DC1 1 2 0
    """,
    "refused, the old basket is kept": """
        level A@DC1 3 v1
        reserve r1 A:3
        reserve r2 A:4 replaces r1 -> INSUFFICIENT
        = r1 held 1:3/0
        reserve r3 A:4 replaces r1 dry -> INSUFFICIENT
        reserve r4 A:3 replaces r1 dry -> QUOTED
        = r1 held 1:3/0
    """,
    "an ended basket is ignored, a paid or foreign one is not replaced": """
        level A@DC1 5 v1
        reserve r1 A:1
        release r1
        reserve r2 A:1 replaces r1
        confirm r2
        reserve r3 A:1 replaces r2 -> NOT_ACTIVE replaces
        reserve r4 A:1
        reserve r5 A:1 replaces r4 for c-1 -> NOT_FOUND replaces
        reserve r6 A:1 replaces r4 as-client other -> NOT_FOUND replaces
        reserve r7 A:1 replaces none
        = A@DC1 2 2 1
    """,
    "replacing does not make a hold live longer than four hours": """
        level A@DC1 5 v1
        reserve r1 A:1 ttl 14400
        wait 7200
        reserve r2 A:1 replaces r1 ttl 7201 -> LIMIT_EXCEEDED
        reserve r3 A:1 replaces r1 ttl 7200
        extend r3 7201 -> LIMIT_EXCEEDED
    """,
    "stock far down the order is found, and what comes back before it is found first": """
        location warehouse-0-of-the-very-long-names {"kind":"warehouse"}
        location warehouse-1-of-the-very-long-names {"kind":"warehouse"}
        location warehouse-2-of-the-very-long-names {"kind":"warehouse"}
        location warehouse-3-of-the-very-long-names {"kind":"warehouse"}
        location warehouse-4-of-the-very-long-names {"kind":"warehouse"}
        location warehouse-5-of-the-very-long-names {"kind":"warehouse"}
        level A@warehouse-0-of-the-very-long-names 0 v1
        level A@warehouse-1-of-the-very-long-names 0 v1
        level A@warehouse-2-of-the-very-long-names 0 v1
        level A@warehouse-3-of-the-very-long-names 0 v1
        level A@warehouse-4-of-the-very-long-names 0 v1
        level A@warehouse-5-of-the-very-long-names 5 v1
        reserve r1 A:1
        = A@warehouse-5-of-the-very-long-names 4 1 0
        reserve r2 A:1 B:1 -> INSUFFICIENT
        level A@warehouse-1-of-the-very-long-names 2 v2
        reserve r3 A:1
        = A@warehouse-1-of-the-very-long-names 1 1 0
        reserve r4 A:4
        = A@warehouse-5-of-the-very-long-names 0 5 0
        reserve r5 A:1
        release r3
        reserve r6 A:1
        = A@warehouse-1-of-the-very-long-names 0 2 0
        location first {"kind":"warehouse"}
        level A@first 3 v1
        level A@warehouse-0-of-the-very-long-names 3 v2
        reserve r7 A:5
        = A@first 0 3 0
        = A@warehouse-0-of-the-very-long-names 1 2 0
        item A {"safety_stock":1}
        ats A web 0
        location warehouse-2-of-the-very-long-names {"kind":"warehouse"}
        level A@warehouse-2-of-the-very-long-names 3 v2
        ats A web 2
    """,
    "an unknown sku has nothing": """
        reserve r1 NEW:1 -> INSUFFICIENT
        level A@DC1 1 v1
        reserve r2 A:1 NEW:1 -> INSUFFICIENT
        = A@DC1 1 0 0
    """,
}


@pytest.mark.parametrize("name", TABLES)
def test_reserve(table: Table, name: str) -> None:
    table.run(TABLES[name])


def test_a_refusal_is_one_reading_of_every_refused_line(table: Table) -> None:
    table.run(
        """
        level A@DC1 4 v1
        level A@DC2 3 v1
        level A@S1 2 v1
        level B@DC1 1 v1
        reserve r1 A:2@DC1
        reserve r2 A:3@DC1 B:1 A:9 -> INSUFFICIENT
        """
    )
    assert table.last.shortfalls == [
        Shortfall(0, "A", 3, 2, 2, [("DC2", 3), ("S1", 2)], START_MS + 600_000),
        Shortfall(2, "A", 9, 7, 2, [], START_MS + 600_000),
    ]


def test_exact_drain_sells_every_unit_and_not_one_more(table: Table) -> None:
    table.run("level A@DC1 5 v1\nlevel A@DC2 4 v1\nlevel A@S1 3 v1")
    for n in range(4):
        table.run(f"reserve r{n} A:3")
    table.run("= A@DC1 0 5 0\n= A@DC2 0 4 0\n= A@S1 0 3 0\nreserve last A:1 -> INSUFFICIENT")


def test_a_place_that_a_batch_makes_is_drawn_on_in_it(table: Table) -> None:
    table.run("level B@DC1 1 v1")
    told = ["level A@DC2 3 v1", "reserve r1 A:3", "level A@DC1 5 v1", "reserve r2 A:5"]
    results, _ = table.law.apply([table.command(word, rest) for word, *rest in map(str.split, told)], table.now)
    assert [result.outcome for result in results] == [Outcome.APPLIED] * 4
    table.run("= A@DC1 0 5 0\n= A@DC2 0 3 0")
