"""Incoming supply: what may be promised for a day without breaking a promise for a later one (R10)."""

import pytest

from atp.domain.entries import Held, ShortageFound, SupplyExpected, SupplyReceived
from tests.scenarios.table import Table, day_of

DAY = 86_400

TABLES = {
    "a delivery whose day is over is told of once, until it came or has another day": """
        incoming A@DC1 po1 10 d0 v1 by erp
        overdue A@DC1 po1 -> NOT_FOUND
        overdue A@DC1 po9 -> NOT_FOUND
        wait 90000
        overdue A@DC1 po1
        raised supply-overdue A DC1 - po1
        overdue A@DC1 po1 -> NOT_FOUND
        received A@DC1 po1 4 v2 e1
        raised supply-overdue A DC1 - po1
        incoming A@DC1 po1 10 d-1 v2 by erp
        raised supply-overdue A DC1 - po1
        incoming A@DC1 po1 10 d3 v3 by erp
        raised none
        overdue A@DC1 po1 -> NOT_FOUND
        wait 400000
        overdue A@DC1 po1
        received A@DC1 po1 6 v4 e2
        raised none
        overdue A@DC1 po1 -> NOT_FOUND
    """,
    "what a person is done with is not told again": """
        incoming A@DC1 po1 10 d0 v1 by erp
        wait 90000
        overdue A@DC1 po1
        resolve supply-overdue A@DC1 order po1
        raised none
        overdue A@DC1 po1 -> NOT_FOUND
        incoming A@DC1 po1 0 d0 v2 by erp
        raised none
    """,
    "a clock that is apart makes nothing overdue": """
        incoming A@DC1 po1 10 d0 v1 by erp
        wait 90000
        sender 90
        overdue A@DC1 po1 -> NOT_FOUND
        sender 0
        overdue A@DC1 po1
    """,
    "an older announcement stays without effect, wherever it stands in the stream": """
        incoming A@DC1 po1 10 d5 v5 by erp pos 3
        incoming A@DC1 po1 4 d5 v4 by erp pos 9 -> STALE
        atp A 0 d5 10
    """,
    "lines of one sku fit a place by their earliest day": """
        location DC1 {"kind":"warehouse","priority":0}
        location DC2 {"kind":"warehouse","priority":1}
        incoming A@DC1 po1 10 d5 v1 by erp
        level A@DC2 8 v1
        reserve r1 A:3/d2 A:5/d6
        = A@DC2 0 8 0
        atp A 0 d5 10
    """,
    "a shortage now is made good first (R10 a)": """
        level A@DC1 5 v1
        reserve r1 A:5
        confirm r1
        level A@DC1 0 v2
        incoming A@DC1 po1 10 d5 v1 by erp
        atp A 0 d4 0 d5 5 d9 5
        reserve r2 A:6/d5 -> INSUFFICIENT
        reserve r3 A:5/d5
        atp A 0 d5 0
    """,
    "a line on incoming supply is deducted once (R10 b)": """
        level A@DC1 10 v1
        incoming A@DC1 po1 6 d5 v1 by erp
        reserve r1 A:6/d5
        = A@DC1 10 0 0
        atp A 10 d4 10 d5 10
        confirm r1
        = A@DC1 10 0 0
        atp A 10 d5 10
        release r1
        atp A 10 d5 16
    """,
    "supply counts until its day begins (R10 c)": """
        level A@DC1 3 v1
        incoming A@DC1 po1 10 d1 v1 by erp
        incoming A@DC1 po2 10 d2 v1 by erp
        atp A 3 d0 3 d1 13 d2 23
        wait 70000
        atp A 3 d0 3 d1 3 d2 13
        reserve r1 A:4/d1 -> INSUFFICIENT
        reserve r2 A:4 -> INSUFFICIENT
    """,
    "a promise that hangs on a truck that is late keeps what is there": """
        level A@DC1 8 v1
        incoming A@DC1 po1 10 d1 v1 by erp
        reserve r1 A:5/d1 ttl 14000
        confirm r1
        atp A 8 d1 13
        wait 70000
        atp A 3 d1 3
        reserve r2 A:4 -> INSUFFICIENT
        reserve r3 A:3
    """,
    "stock for now is limited by promises for later (R10 d)": """
        level A@DC1 4 v1
        incoming A@DC1 po1 6 d2 v1 by erp
        reserve r1 A:9/d5
        atp A 1 d1 1 d2 1 d5 1
        reserve r2 A:2 -> INSUFFICIENT
        reserve r3 A:1
        atp A 0 d2 0
        = A@DC1 0 4 0
    """,
    "who announces and who receives need no common version (R10 e)": """
        level A@DC1 2 v500 by wms
        incoming A@DC1 po1 10 d5 v7 by erp
        received A@DC1 po1 4 v501 e1 by wms
        atp A 6 d5 12
        received A@DC1 po1 4 v501 e1 by wms -> DUPLICATE
        received A@DC1 po1 9 v502 e2 by wms
        atp A 15 d5 15
        level A@DC1 15 v503 by wms
        atp A 15 d5 15
        received A@DC1 po1 4 v501 e1 by wms -> DUPLICATE
    """,
    "a receipt that the level shows already only closes the supply": """
        level A@DC1 12 v9
        incoming A@DC1 po1 10 d5 v1
        received A@DC1 po1 10 v8 e1
        atp A 12 d5 12
        received A@DC1 po2 10 v10 e2
        atp A 22 d5 22
        level A@DC1 13 v9 pos 4
        atp A 23 d5 23
    """,
    "another source's receipt waits for the authority's number": """
        level A@DC1 2 v1 by wms
        incoming A@DC1 po1 10 d5 v1 by erp
        received A@DC1 po1 10 v2 e1 by erp
        atp A 2 d5 2
        level A@DC1 12 v2 by wms
        atp A 12 d5 12
    """,
    "any order of announcement and receipt ends the same": """
        received A@DC1 po1 4 v3 e1 by erp
        incoming A@DC1 po1 10 d5 v1 by erp
        atp A 0 d5 6
        incoming A@DC1 po1 8 d6 v2 by erp
        atp A 0 d5 0 d6 4
        incoming A@DC1 po1 3 d6 v3 by erp
        atp A 0 d6 0
    """,
    "a delivery moves, changes and is called off, by the newest word": """
        level A@DC1 1 v1
        incoming A@DC1 po1 10 d5 v5 by erp
        incoming A@DC1 po1 99 d2 v5 by erp -> STALE
        incoming A@DC1 po1 99 d2 v4 by erp -> STALE
        incoming A@DC1 po1 8 d3 v5 pos 2 by erp
        atp A 1 d2 1 d3 9 d5 9
        incoming A@DC1 po1 8 d4 v1 by wms
        atp A 1 d3 1 d4 9
        incoming A@DC1 po1 0 d0 v6 by wms
        atp A 1 d4 1
        incoming A@DC1 po1 7 d4 v7 by wms
        atp A 1 d4 8
    """,
    "it is refused as levels are": """
        cursor 5
        incoming A@DC1 po1 9 d5 v1 pos 5 -> SETTLED
        received A@DC1 po1 9 v1 e1 pos 5 -> SETTLED
        incoming A@NEW po1 9 d5 v1 -> UNKNOWN_LOCATION NEW
        received A@NEW po1 9 v1 e1 -> UNKNOWN_LOCATION NEW
        incoming A@DC1 po1 9 d5 v1
        received A@DC1 po1 9 v1 e1 time -> VERSION_KIND_MISMATCH sequence
        incoming A@DC1 po1 9 d5 v9 time -> VERSION_KIND_MISMATCH sequence
    """,
    "of one basket, lines for earlier days draw first": """
        level A@DC1 2 v1
        level A@DC2 5 v1
        incoming A@DC1 po1 3 d3 v1
        reserve r1 A:5/d3 A:5
        = A@DC2 0 5 0
        = A@DC1 0 2 0
        atp A 0 d3 0
        = r1 held 1:5/0 2:5/0
    """,
    "a basket is kept together for its day": """
        level A@DC1 9 v1
        level B@DC2 9 v1
        level A@DC2 1 v1
        incoming A@DC2 po1 6 d3 v1
        reserve r1 A:5/d3 B:2
        atp A@DC2 1 d3 2
        = A@DC1 9 0 0
        reserve r2 A:7/d3 B:2 whole -> INSUFFICIENT
        reserve r3 A:2/d3 B:2 whole
        atp A@DC2 0 d3 0
    """,
    "two lines for one day share its supply": """
        level A@DC1 1 v1
        incoming A@DC1 po1 6 d3 v1
        reserve r1 A:4/d3 A:4/d3 -> INSUFFICIENT
        reserve r2 A:4@DC1/d3 A:4/d4 -> INSUFFICIENT
        reserve r3 A:3/d3 A:4/d4
        atp A 0 d9 0
    """,
    "a line may be shared between days, places and stock on hand": """
        level A@DC1 2 v1
        level A@DC2 1 v1
        incoming A@DC1 po1 3 d3 v1
        incoming A@DC1 po2 4 d5 v1
        incoming A@DC2 po3 4 d9 v1
        reserve r1 A:11/d6 -> INSUFFICIENT
        reserve r2 A:10@DC1/d6 -> INSUFFICIENT
        reserve r3 A:99/d6 partial
        = r3 held 1:10/0
        atp A 0 d9 4
    """,
    "units that left or moved hang on no day any more": """
        level A@DC1 4 v1
        level A@DC2 9 v1
        incoming A@DC1 po1 9 d3 v1
        reserve r1 A:9@DC1/d3
        confirm r1 1:6
        atp A@DC1 4 d3 4
        fulfil r1 1:2
        = A@DC1 2 0 0
        atp A@DC1 2 d3 4
        transfer r1 1:3 DC1 DC2
        = A@DC2 6 3 0
        atp A@DC1 2 d3 7
        release r1 of committed
        atp A@DC1 2 d3 11
        = A@DC2 6 3 0
    """,
    "an expired line is taken again for its day": """
        incoming A@DC1 po1 6 d3 v1
        reserve r1 A:5@DC1/d3 ttl 5
        atp A 0 d3 1
        wait 8
        atp A 0 d3 6
        reserve r2 A:4/d3 ttl 5
        confirm r1 reacquire -> INSUFFICIENT
        wait 8
        confirm r1 reacquire
        = r1 committed 1:0/5
        atp A 0 d3 1
    """,
    "an expired line hangs on its delivery again, and stock on hand stays for now": """
        level A@DC1 5 v1
        incoming A@DC1 po1 6 d3 v1
        reserve r1 A:5/d3 ttl 5
        wait 8
        atp A 5 d3 11
        confirm r1 reacquire
        = A@DC1 5 0 0
        atp A 5 d3 6
        reserve r2 A:5
    """,
    "a replaced hold gives its day back": """
        incoming A@DC1 po1 6 d3 v1
        reserve r1 A:5/d3
        reserve r2 A:6/d3 -> INSUFFICIENT
        reserve r3 A:6/d3 replaces r1
        atp A 0 d3 0
    """,
    "a quote draws as a hold does, and keeps nothing": """
        incoming A@DC1 po1 6 d3 v1
        reserve r1 A:5/d3 dry -> QUOTED
        atp A 0 d3 6
    """,
    "safety stock is withheld from every day": """
        item A {"safety_stock":3}
        level A@DC1 1 v1
        incoming A@DC1 po1 6 d3 v1
        atp A 0 d3 4
    """,
    "an inactive location promises nothing for any day": """
        incoming A@S1 po1 6 d3 v1
        location S1 {"kind":"store","active":false}
        reserve r1 A:1/d3 -> INSUFFICIENT
    """,
    "what is protected for others is protected for every day (R10, R11)": """
        share A web {"protection":10}
        level A@DC1 10 v1
        incoming A@DC1 po1 10 d5 v1
        ats A app 0
        ats A app/d4 0
        ats A app/d5 10
        ats A web/d5 20
        reserve r1 A:10/d5 via app
        = A@DC1 10 0 0
        ats A web 10
        ats A app/d5 0
        level A@DC2 5 v2
        ats A app/d5 5
        ats A app 5
        incoming B@DC1 po2 10 d5 v3
        share B web {"protection":8}
        ats B app/d5 2
        reserve r2 B:3/d5 via app -> INSUFFICIENT
        reserve r3 B:1/d5 B:1/d6 via app
        ats B app/d9 0
        ats B web/d9 8
    """,
    "stock on hand that others are kept is not taken for a later day": """
        share A web {"protection":10}
        level A@DC1 10 v1
        level A@DC2 0 v2
        incoming A@DC2 po1 10 d5 v1
        ats A app/d5 10
        reserve r1 A:1@DC1/d5 via app -> INSUFFICIENT
        reserve r2 A:10/d5 via app
        = A@DC1 10 0 0
        ats A web 10
        release r2
        share A web {"protection":4}
        reserve r3 A:3/d5 A:10/d6 A:3 via app
        ats A web 4
        ats A web/d6 4
    """,
    "stock on hand that others are kept stays when a delivery is named twice": """
        incoming A@DC1 po1 8 d3 v1
        reserve r1 A:8/d12 via app
        level A@DC1 2 v2
        incoming A@DC1 po2 15 d11 v3
        share A web {"protection":2}
        ats A app/d3 8
        reserve r2 A:5/d3 via app
        = A@DC1 2 0 0
        ats A web 2
        atp A 2 d3 5 d11 12
    """,
    "floors follow the days as they pass": """
        share A web {"protection":6}
        level A@DC1 8 v1
        incoming A@DC1 po1 10 d1 v1
        reserve r1 A:9/d1 via app ttl 14000
        confirm r1
        ats A app 2
        wait 70000
        ats A app 0
        ats A web 0
        level A@DC1 18 v2
        ats A web 9
        ats A app 3
    """,
    "acknowledged units of incoming supply are left out of nothing": """
        source wms {"kind":"wms","measure":"available"}
        level A@DC1 4 v1
        incoming A@DC1 po1 9 d3 v2
        reserve r1 A:9/d3
        confirm r1
        acknowledge r1 by wms v1
        = r1 acknowledged 1:0/9
        atp A 4 d3 4
        fulfil r1
        = A@DC1 -5 0 0
    """,
}


@pytest.mark.parametrize("name", TABLES)
def test_supply(table: Table, name: str) -> None:
    table.run(TABLES[name])


def allocations(table: Table) -> list[list[tuple[str, str, int]]]:
    held = [entry.reservation for entry in table.entries if isinstance(entry, Held)]
    return [[(a.location, a.supply, a.held) for line in r.lines for a in line.allocations] for r in held]


def test_the_latest_supply_that_meets_the_day_goes_first_and_stock_on_hand_last(table: Table) -> None:
    d3, d5, d6 = (day_of(text)[0] for text in ("d3", "d5", "d6"))
    table.run(
        """
        level A@DC1 2 v1
        incoming A@DC1 po1 3 d3 v1
        incoming A@DC1 po2 4 d5 v1
        incoming A@DC1 po3 9 d7 v1
        reserve r1 A:5/d6
        reserve r2 A:3/d6
        level B@DC1 2 v2
        reserve r3 B:2/d6
        """
    )
    assert allocations(table) == [
        [("DC1", d5, 4), ("DC1", d3, 1)],
        [("DC1", "", 1), ("DC1", d3, 2)],
        [("DC1", "", 2)],
    ]
    assert d6 not in table.law.dump()["positions"]["B", "DC1"][4]


def test_supply_that_is_named_already_is_not_named_again(table: Table) -> None:
    d2, d5 = (day_of(text)[0] for text in ("d2", "d5"))
    table.run(
        """
        level A@DC1 5 v1
        incoming A@DC1 po1 6 d2 v1
        reserve r1 A:6/d5
        incoming A@DC1 po1 4 d2 v2
        incoming A@DC1 po2 3 d5 v1
        atp A 5 d2 6 d5 6
        reserve r2 A:1/d4
        reserve r3 A:5/d5
        atp A 0 d5 0
        """
    )
    assert allocations(table) == [
        [("DC1", d2, 6)],
        [("DC1", "", 1)],
        [("DC1", "", 2), ("DC1", d5, 3)],
    ]
    assert list(table.law.dump()["positions"]["A", "DC1"][4]) == [d2, d5]


def test_a_promise_so_late_that_later_supply_will_do_leaves_its_supply_to_an_earlier_one(table: Table) -> None:
    d3 = day_of("d3")[0]
    table.run(
        """
        incoming A@DC1 po1 8 d3 v1
        reserve r1 A:8/d12
        level A@DC1 2 v2
        incoming A@DC1 po2 15 d11 v3
        atp A 2 d3 10 d11 17
        reserve r2 A:5/d3
        atp A 0 d3 5 d11 12
        level A@DC1 2 v4
        = A@DC1 0 2 0
        """
    )
    assert allocations(table) == [[("DC1", d3, 8)], [("DC1", "", 2), ("DC1", d3, 3)]]


def test_a_delivery_that_slips_or_shrinks_below_its_promises_is_a_shortage(table: Table) -> None:
    table.run(
        """
        item A {"safety_stock":1}
        level A@DC1 3 v1
        incoming A@DC1 po1 6 d2 v1
        reserve r1 A:5/d3
        incoming A@DC1 po1 6 d3 v2
        incoming A@DC1 po1 6 d4 v3
        incoming A@DC1 po1 5 d4 v4
        incoming A@DC1 po1 6 d2 v5
        level A@DC1 0 v2
        incoming A@DC1 po1 4 d2 v6
        incoming A@DC1 po1 5 d2 v7
        received A@DC1 po1 5 v9 e1 by erp
        """
    )
    found = [(entry.location, entry.short_by) for entry in table.entries if isinstance(entry, ShortageFound)]
    assert found == [("DC1", 2), ("DC1", 1), ("DC1", 5)]


def test_a_refusal_says_for_which_day_all_of_it_could_be_promised(table: Table) -> None:
    table.run(
        """
        level A@DC1 2 v1
        incoming A@DC1 po1 3 d3 v1
        incoming A@DC2 po2 4 d5 v1
        incoming A@DC2 po3 4 d-1 v1
        """
    )

    def date(text: str) -> str:
        table.line(f"{text} -> INSUFFICIENT")
        return table.last.shortfalls[0].promise_date

    assert date("reserve r1 A:3") == day_of("d3")[0]
    assert date("reserve r2 A:6") == day_of("d5")[0]
    assert date("reserve r3 A:6/d3") == day_of("d5")[0]
    assert date("reserve r4 A:6 whole") == ""
    assert date("reserve r5 A:4 whole") == day_of("d3")[0]
    assert date("reserve r6 A:4@DC2") == day_of("d5")[0]
    assert date("reserve r7 A:6@DC1") == ""
    assert date("reserve r8 A:10") == ""


def test_entries_say_what_is_left_and_what_the_number_became(table: Table) -> None:
    day, starts_at = day_of("d3")
    table.run(
        """
        level A@DC1 2 v1
        incoming A@DC1 po1 10 d3 v1 by erp
        received A@DC1 po1 4 v2 e1
        received A@DC1 po1 4 v2 e2 by erp
        """
    )
    told = [entry for entry in table.entries if isinstance(entry, SupplyExpected)]
    assert [(e.supply_id, e.quantity, e.day, e.starts_at, e.left, e.source) for e in told] == [
        ("po1", 10, day, starts_at, 10, "erp")
    ]
    told = [entry for entry in table.entries if isinstance(entry, SupplyReceived)]
    assert [(e.quantity, e.left, e.number, e.balances[0].number) for e in told] == [(4, 6, 6, 6), (4, 2, 4, 6)]


def test_the_memory_of_receipts_is_bounded(table: Table) -> None:
    table.run("incoming A@DC1 po1 100 d3 v1")
    for n in range(65):
        table.line(f"received A@DC1 po1 1 v{n + 2} e{n} by erp")
    table.run("atp A 0 d3 35\nreceived A@DC1 po1 1 v9 e1 by erp -> DUPLICATE")
    assert len(table.law.dump()["supplies"]["A", "DC1", "po1"][6]) == 64
