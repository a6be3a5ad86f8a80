"""Shortages: found in one step however many are affected, named page by page, over when units cover promises (R28)."""

import pytest

from atp.domain.entries import Released, ShortageAffected, ShortageClosed, ShortageFound
from tests.scenarios.table import Table

HELD = """
    level A@DC1 9 v1
    reserve r1 A:2
    reserve r2 A:2
    reserve r3 A:2
    reserve r4 A:2
"""

TABLES = {
    "by default it is reported, and ends when supply returns": HELD
    + """
        level A@DC1 5 v2
        shortage A@DC1 3 report 0 open
        affect A@DC1 r4 r3 r2 r1 -> APPLIED done
        shortage A@DC1 3 report 4 done
        = r4 held 1:2/0
        level A@DC1 7 v3
        shortage A@DC1 3 report 4 done
        level A@DC1 8 v4
        shortage A@DC1 none
        affect A@DC1 r2 of 9 -> NOT_ACTIVE closed
    """,
    "a position that was never short pays nothing": """
        level A@DC1 5 v1
        reserve r1 A:5
        level A@DC1 5 v2
        shortage A@DC1 none
        affect A@DC1 r1 -> NOT_ACTIVE closed
    """,
    "safety stock makes no shortage and ends none": """
        item A {"safety_stock":3}
        level A@DC1 5 v1
        reserve r1 A:2
        level A@DC1 2 v2
        shortage A@DC1 none
        level A@DC1 1 v3
        shortage A@DC1 1 report 0 open
        level A@DC1 2 v4
        shortage A@DC1 none
    """,
    "revoking takes the newest first and stops when the shortage is covered": """
        item A {"on_shortage":"revoke_holds"}
        """
    + HELD
    + """
        level A@DC1 5 v2
        affect A@DC1 r4 r3 r2 -> APPLIED done
        shortage A@DC1 none
        = A@DC1 1 4 0
        = r4 released 1:0/0
        = r3 released 1:0/0
        = r2 held 1:2/0
        confirm r4 -> NOT_ACTIVE shortage
        extend r4 60 -> NOT_ACTIVE shortage
        confirm r2
        reserve r4 A:2 -> REPLAYED replayed
    """,
    "the oldest first, if the item says so": """
        item A {"on_shortage":"revoke_holds","victims":"oldest"}
        """
    + HELD
    + """
        level A@DC1 7 v2
        affect A@DC1 r1 r2 -> APPLIED done
        = r1 released 1:0/0
        = r2 held 1:2/0
    """,
    "pages follow one another and count once": """
        item A {"on_shortage":"revoke_holds"}
        """
    + HELD
    + """
        level A@DC1 1 v2
        affect A@DC1 r4
        affect A@DC1 r4 after 0 -> REPLAYED replayed
        affect A@DC1 r3
        affect A@DC1 r2 r1 after 3 -> REPLAYED replayed
        shortage A@DC1 7 revoke_holds 4 open
        affect A@DC1 r2
        affect A@DC1 r1 -> APPLIED done
        = A@DC1 1 0 0
        shortage A@DC1 none
    """,
    "commitments are named and never dropped": """
        item A {"on_shortage":"revoke_holds"}
        """
    + HELD
    + """
        confirm r4
        confirm r1
        level A@DC1 1 v2
        affect A@DC1 r4 r3 r2 r1 last -> APPLIED done
        = A@DC1 -3 0 4
        = r4 committed 1:0/2
        = r3 released 1:0/0
        shortage A@DC1 7 revoke_holds 8 done
        affect A@DC1 r4 -> REPLAYED replayed
        release r4
        shortage A@DC1 7 revoke_holds 8 done
        release r1
        shortage A@DC1 none
    """,
    "whatever lowers promises ends it": HELD
    + """
        level A@DC2 9 v1
        confirm r1
        level A@DC1 3 v2
        release r4
        shortage A@DC1 5 report 0 open
        transfer r3 1:2 DC1 DC2
        shortage A@DC1 5 report 0 open
        transfer r2 1:1 DC1 DC2
        shortage A@DC1 none
    """,
    "expiry ends it": """
        level A@DC1 2 v1
        reserve r1 A:2 ttl 5
        level A@DC1 1 v2
        shortage A@DC1 1 report 0 open
        wait 8
        shortage A@DC1 none
    """,
    "a replaced basket ends it": """
        level A@DC1 2 v1
        level B@DC1 2 v1
        reserve r1 A:2
        level A@DC1 1 v2
        reserve r2 B:1 replaces r1
        shortage A@DC1 none
    """,
    "a deeper shortage begins anew": HELD
    + """
        level A@DC1 7 v2
        affect A@DC1 r4 -> APPLIED done
        level A@DC1 5 v3
        shortage A@DC1 3 report 0 open
        affect A@DC1 r4
        affect A@DC1 r3 -> APPLIED done
        delta A@DC1 1 v4 e1
        shortage A@DC1 3 report 4 done
    """,
    "only units at the position are taken, and only of those that have some": """
        item A {"on_shortage":"revoke_holds"}
        level A@DC1 2 v1
        level A@DC2 2 v1
        level B@DC1 2 v1
        reserve r1 A:4 B:1
        reserve r2 B:1
        level A@DC1 1 v2
        affect A@DC1 r2 r9 r1 last -> APPLIED done
        = r1 held 1:2/0 2:1/0
        = A@DC1 1 0 0
        = A@DC2 0 2 0
        confirm r1
        = r1 committed 1:0/2 2:0/1
    """,
    "a revoked hold counts no more to its customer and to its channel's cap": """
        channel web {"held_units_per_customer":2}
        item A {"on_shortage":"revoke_holds"}
        share A web {"cap":2}
        level A@DC1 9 v1
        reserve r1 A:2 for c-1
        level A@DC1 0 v2
        affect A@DC1 r1 -> APPLIED done
        level A@DC1 9 v3
        ats A web 2
        reserve r2 A:2 for c-1
    """,
    "due holds are settled before victims are named": """
        level A@DC1 3 v1
        reserve r1 A:1 ttl 5
        reserve r2 A:1 ttl 5
        reserve r3 A:1
        level A@DC1 1 v2
        settle 1
        pass 8
        affect A@DC1 r3 r2 -> AGAIN
        affect A@DC1 r3 r2 -> NOT_ACTIVE closed
    """,
    "another authority, whose number covers the promises, ends it": """
        location DC1 {"sources":[{"source":"wms","role":"authority"}]}
        level A@DC1 9 v1
        level A@DC1 9 v1 by erp
        reserve r1 A:4
        level A@DC1 1 v2
        shortage A@DC1 3 report 0 open
        location DC1 {"sources":[{"source":"erp","role":"authority"}]}
        shortage A@DC1 none
    """,
    "the tombstone of a revoked hold still says why": """
        item A {"on_shortage":"revoke_holds"}
        level A@DC1 2 v1
        reserve r1 A:2
        level A@DC1 0 v2
        affect A@DC1 r1 -> APPLIED done
        journal
        wait 901
        gone r1
        confirm r1 -> NOT_ACTIVE shortage
        extend r1 5 -> NOT_ACTIVE shortage
        release r1 -> REPLAYED replayed
    """,
}


@pytest.mark.parametrize("name", TABLES)
def test_shortage(table: Table, name: str) -> None:
    table.run(TABLES[name])


def test_the_entries_tell_the_whole_story(table: Table) -> None:
    table.run('item A {"on_shortage":"revoke_holds"}' + HELD + "confirm r3\nlevel A@DC1 5 v2")
    (found,) = (entry for entry in table.entries if isinstance(entry, ShortageFound))
    assert (found.sku, found.location, found.short_by) == ("A", "DC1", 3)
    assert (found.policy, found.victims) == ("revoke_holds", "newest")
    table.run("affect A@DC1 r4 r3 r2 r1 -> APPLIED done")
    released = [entry for entry in table.entries if isinstance(entry, Released)]
    assert [entry.reservation.id for entry in released] == ["b1:r4", "b1:r2"]
    assert {entry.reason for entry in released} == {"shortage"}
    (affected,) = (entry for entry in table.entries if isinstance(entry, ShortageAffected))
    told = [(v.reservation, v.held, v.committed, v.revoked) for v in affected.victims]
    assert told == [("b1:r4", 2, 0, 2), ("b1:r3", 0, 2, 0), ("b1:r2", 2, 0, 2)]
    assert (affected.shortage, affected.short_by, affected.last) == (found.seq, 0, True)
    (closed,) = (entry for entry in table.entries if isinstance(entry, ShortageClosed))
    assert (closed.shortage, closed.seq) == (found.seq, affected.seq + 1)


def test_any_number_of_holds_makes_one_entry(table: Table) -> None:
    table.run("level A@DC1 900 v1")
    table.law.apply([table.command("reserve", [f"r{n}", "A:1"]) for n in range(900)], table.now)
    table.entries.clear()
    table.run("level A@DC1 0 v2")
    assert [type(entry).__name__ for entry in table.entries] == ["LevelSet", "ShortageFound"]
    table.run("affect A@DC1 " + " ".join(f"r{n}" for n in range(256)))
    affected = table.entries[-1]
    assert isinstance(affected, ShortageAffected)
    assert (len(affected.victims), affected.short_by, affected.last) == (256, 900, False)
