"""Baskets that span partitions, as one partition sees them: opened, taken, decided, followed (R3).

Skus that start with "far" live in another partition: home's record has their lines, home's positions do not.
"""

import pytest

from atp.domain.entries import BasketAborted, BasketOpened, Held, LegDropped, LegFollowed, LegTaken
from tests.scenarios.table import Table, id_of

TABLES = {
    "a basket is held once all legs stand": """
        level A@DC1 5 v1
        open r1 A:2 far:1
        = A@DC1 5 0 0
        take r1 A:2
        = A@DC1 3 2 0
        decide r1 A:2@DC1 far:1@FAR
        = A@DC1 3 2 0
        = r1 held 1:2/0 2:1/0
        followed r1
        = nothing baskets
        followed r1 -> STALE
    """,
    "the same request finds its reservation": """
        level A@DC1 5 v1
        open r1 A:2 far:1
        take r1 A:2
        decide r1 A:2@DC1 far:1@FAR
        open r1 A:2 far:1 call 2 -> REPLAYED replayed
        open r1 A:2 far:1 call 2 as 2 -> KEY_REUSED
        decide r1 A:2@DC1 far:1@FAR -> REPLAYED replayed
        reserve r1 A:2 -> REPLAYED replayed
        reserve r1 A:1 as 3 -> KEY_REUSED
    """,
    "a resent opening or leg finds itself": """
        level A@DC1 5 v1
        open r1 A:2 far:1
        open r1 A:2 far:1
        take r1 A:2
        take r1 A:2
        = A@DC1 3 2 0
        abort r1
        abort r1 -> NOT_FOUND
        drop r1 -> NOT_FOUND
        = A@DC1 5 0 0
        = nothing
    """,
    "no leg is taken where a loss is not accepted yet, though home has none (R2)": """
        level A@DC1 5 v1
        open r1 A:2 far:1
        take r1 A:2
        raise loss @ -> APPLIED
        take r1 A:2
        decide r1 A:2@DC1 far:1@FAR
        take r2 A:1 attempt 40 -> RECOVERING
        = A@DC1 3 2 0
        resolve loss @ -> APPLIED
        take r2 A:1 attempt 40
    """,
    "two attempts at one basket are never under way together": """
        level A@DC1 5 v1
        open r1 A:2 far:1
        open r1 A:2 far:1 call 2 -> CONTENDED
        open r1 A:2 far:1 as 2 call 2 -> KEY_REUSED
        open b2:r1 A:2 far:1 call 2 -> KEY_REUSED
        pass 6
        take r1 A:2
        open r1 A:2 far:1 call 2
        = A@DC1 5 0 0
        decide r1 A:0 far:1@FAR attempt 6 -> NOT_ACTIVE attempt
        take r1 A:2
        decide r1 A:2@DC1 far:1@FAR
        = A@DC1 3 2 0
    """,
    "a leg counts until home's word is applied, whatever the time": """
        level A@DC1 2 v1
        open r1 A:2 far:1
        take r1 A:2
        wait 100000
        = A@DC1 0 2 0
        reserve r2 A:1 -> CONTENDED
        abort r1
        = A@DC1 2 0 0
        = nothing
        reserve r2 A:1
        take r3 A:1 attempt 7
        wait 100000
        = A@DC1 1 1 0
        drop r3 attempt 7
        = A@DC1 2 0 0
    """,
    "a decision that comes after the abort is refused": """
        level A@DC1 2 v1
        open r1 A:2 far:1
        take r1 A:2
        abort r1
        decide r1 A:2@DC1 far:1@FAR -> NOT_ACTIVE attempt
        = A@DC1 2 0 0
        = nothing
    """,
    "an abort that comes after the decision is told the record": """
        level A@DC1 2 v1
        open r1 A:2 far:1
        take r1 A:2
        decide r1 A:2@DC1 far:1@FAR
        abort r1 -> REPLAYED replayed
        drop r1 -> NOT_FOUND
        = A@DC1 0 2 0
    """,
    "what a source counts elsewhere is not counted at home": """
        source wms {"kind":"wms","measure":"available"}
        location FAR {"kind":"warehouse","sources":[{"source":"wms","role":"authority"}]}
        level A@DC1 9 v1
        open r1 A:2 far:1
        take r1 A:2
        decide r1 A:2@DC1 far:1@FAR
        confirm r1
        acknowledge r1
        level A@DC1 9 v2
        = A@DC1 9 0 2
    """,
    "nothing is decided without the leg at home": """
        level A@DC1 2 v1
        open r1 A:2 far:1
        decide b2:r1 A:0 far:1@FAR attempt r1 -> NOT_ACTIVE attempt
        decide r1 A:2@DC1 far:1@FAR -> NOT_ACTIVE leg
        take r1 A:2
        decide r1 A:1@DC1 far:1@FAR -> NOT_ACTIVE leg
        decide r1 A:2 far:1@FAR -> NOT_ACTIVE leg
        decide r1 A:2@DC2 far:1@FAR -> NOT_ACTIVE leg
        decide r1 A:2@DC1 far:1@FAR
    """,
    "a decided leg at another partition follows home, and ends with it": """
        level A@DC1 9 v1
        take r1 A:4 attempt 7
        = A@DC1 5 4 0
        follow r1 A:4@DC1 seq 9
        = nothing legs
        follow r1 A:1@DC1 seq 8 -> STALE
        follow r1 A:4@DC1 seq 9 -> STALE
        = A@DC1 5 4 0
        follow r1 A:1/3@DC1 seq 10
        = A@DC1 5 1 3
        follow r1 A:0/2/2@DC1 seq 12
        = A@DC1 5 0 2
        drop r1 attempt 7 -> NOT_FOUND
        take r1 A:4 attempt 8 -> NOT_ACTIVE
        take r1 A:4 attempt 7
        follow r1 A:0/0/4@DC1 seq 13
        = A@DC1 5 0 0
        = nothing
        follow r1 A:4@DC1 seq 14 -> NOT_FOUND
        = A@DC1 5 0 0
        level A@DC1 5 v2 at 120
        = A@DC1 5 0 0
    """,
    "a leg that was never decided can follow a record that has nothing for it": """
        level A@DC1 9 v1
        take r1 A:4 attempt 7
        follow r1 A:0 seq 9
        = A@DC1 9 0 0
        = nothing
    """,
    "a leg follows to another location": """
        level A@DC1 9 v1
        level A@DC2 9 v1
        take r1 A:4@DC1 attempt 7
        follow r1 A:3@DC2 seq 9
        = A@DC1 9 0 0
        = A@DC2 6 3 0
    """,
    "late legs neither displace nor outlive": """
        level A@DC1 9 v1
        take r1 A:2 attempt 8
        take r1 A:2 attempt 7 -> NOT_ACTIVE
        drop r1 attempt 7 -> NOT_FOUND
        take r1 A:10 attempt 9 -> INSUFFICIENT
        = A@DC1 7 2 0
        take r1 A:9 attempt 9
        = A@DC1 0 9 0
        drop r1 attempt 8 -> NOT_FOUND
        open r1 A:1 far:1
        = A@DC1 9 0 0
    """,
    "only others' tentative legs make a refusal wait": """
        level A@DC1 4 v1
        level B@DC1 1 v1
        take r1 A:3 attempt 7
        reserve r2 A:2 -> CONTENDED
        reserve r2 A:2@DC1 -> CONTENDED
        reserve r2 A:5 -> INSUFFICIENT
        reserve r3 A:2 B:2 -> INSUFFICIENT
        reserve r4 A:2 dry -> CONTENDED
        reserve r5 A:2 partial
        reserve r6 A:2 partial -> CONTENDED
        take r7 A:2 attempt 9 -> CONTENDED
        take r7 A:9 attempt 9 -> INSUFFICIENT
        follow r1 A:3@DC1 seq 9
        reserve r6 A:2 partial -> INSUFFICIENT
        reserve r8 A:2 -> INSUFFICIENT
        take r7 A:2 attempt 9 -> INSUFFICIENT
    """,
    "a transfer and units taken again wait for tentative ones, too": """
        level A@DC1 4 v1
        level A@DC2 4 v1
        reserve r1 A:2@DC1
        reserve r2 A:2@DC1 ttl 1
        wait 4
        take r3 A:3@DC2 attempt 7
        take r4 A:2@DC1 attempt 8
        transfer r1 1:2 DC1 DC2 -> CONTENDED
        confirm r2 reacquire -> CONTENDED
        follow r3 A:3@DC2 seq 9
        transfer r1 1:2 DC1 DC2 -> INSUFFICIENT
        confirm r2 reacquire -> CONTENDED
        follow r4 A:2@DC1 seq 9
        confirm r2 reacquire -> INSUFFICIENT
    """,
    "a leg takes what there is when the request says so": """
        level A@DC1 2 v1
        open r1 A:5 far:1
        take r1 A:5 -> INSUFFICIENT
        take r1 A:5 partial
        decide r1 A:2@DC1 far:1
        = A@DC1 0 2 0
        open r2 A:5 far:1
        decide r2 A:5 far:1@FAR
        = r2 held 1:0/0 2:1/0
        = A@DC1 0 2 0
    """,
    "a refusal of a leg never stands on a due hold": """
        level A@DC1 1 v1
        reserve r1 A:1 ttl 1
        settle 0
        pass 4
        take r2 A:1 attempt 7 -> AGAIN
        settle 1
        take r2 A:1 attempt 7
    """,
    "a refused basket is remembered, and leaves nothing else": """
        level A@DC1 1 v1
        open r1 A:1 far:9
        take r1 A:1
        abort r1 short
        = nothing
        open r1 A:1 far:9 call 2 -> INSUFFICIENT replayed
        open r1 A:1 far:9 call 2 as 2 -> KEY_REUSED
        wait 200
        open r1 A:1 far:9 call 2
        abort r1
        = nothing
    """,
    "home moves only its own positions": """
        level A@DC1 9 v1
        open r1 A:4 far:3
        take r1 A:4
        decide r1 A:4@DC1 far:3@DC1
        confirm r1 1:3 2:2
        = r1 held 1:1/3 2:1/2
        = A@DC1 5 1 3
        followed r1
        = nothing baskets
        acknowledge r1 2:1
        fulfil r1 2:1
        release r1 1:1
        = r1 held 1:0/3 2:1/1
        = A@DC1 6 0 3
        = nothing baskets following
        = far@DC1 0 0 0
        transfer r1 2:1 DC1 DC2 -> INSUFFICIENT
        extend r1 900
        release r1 of all
        = A@DC1 9 0 0
        = r1 fulfilled 1:0/0 2:0/0
    """,
    "expiry is home's alone": """
        level A@DC1 9 v1
        open r1 A:4 far:3 ttl 10
        take r1 A:4
        decide r1 A:4@DC1 far:3@FAR ttl 10
        followed r1
        wait 13
        = r1 expired 1:0/0 2:0/0
        = A@DC1 9 0 0
        = nothing baskets following
        confirm r1 reacquire -> EXPIRED
    """,
    "a basket is replaced in the same step": """
        level A@DC1 9 v1
        level B@DC1 9 v1
        open r1 A:4 far:3
        take r1 A:4
        decide r1 A:4@DC1 far:3@FAR
        followed r1
        reserve r2 B:1 replaces r1
        = A@DC1 9 0 0
        = r1 released 1:0/0 2:0/0
        = nothing baskets following
        open r3 B:2 far:1 replaces r2
        take r3 B:2
        = B@DC1 6 3 0
        decide r3 B:2@DC1 far:1@FAR replaces r2
        = B@DC1 7 2 0
        confirm r3
        open r4 B:1 far:1 replaces r3 -> NOT_ACTIVE replaces
        open r4 B:1 far:1 ttl 14400
        abort r4
        decide r4 B:1@DC1 far:1@FAR replaces r3 -> NOT_ACTIVE attempt
    """,
    "what replaces nothing that can be replaced is refused when it is decided": """
        level B@DC1 9 v1
        reserve r1 B:2
        open r2 B:1 far:1 replaces r1
        take r2 B:1
        confirm r1
        decide r2 B:1@DC1 far:1@FAR replaces r1 -> NOT_ACTIVE replaces
        abort r2
        reserve r3 B:1 ttl 10
        wait 5
        open r4 B:1 far:1 ttl 14400 replaces r3 -> LIMIT_EXCEEDED
        open r4 B:1 far:1 replaces r3
        take r4 B:1
        decide r4 B:1@DC1 far:1@FAR ttl 14400 replaces r3 -> LIMIT_EXCEEDED
        open r5 B:1@NONE far:1 -> UNKNOWN_LOCATION 0
    """,
    "an ended basket is cut down when its legs have heard of it": """
        level A@DC1 9 v1
        open r1 A:4 far:3
        take r1 A:4
        decide r1 A:4@DC1 far:3@FAR
        release r1
        journal
        wait 1000
        = r1 released 1:0/0 2:0/0
        followed r1
        wait 1000
        gone r1
        = nothing
        abort r1 -> NOT_FOUND
        open r1 A:4 far:3 -> REPLAYED replayed
    """,
    "a leg counts to its seller's share, and what is tentative of it may come back": """
        level A@DC1 9 v1
        channel web {}
        share A web {"cap":3}
        open r1 A:2 far:1
        take r1 A:2
        reserve r2 A:2 -> CONTENDED
        reserve r9 A:4 -> INSUFFICIENT
        decide r1 A:2@DC1 far:1@FAR
        reserve r2 A:2 -> INSUFFICIENT
        reserve r3 A:1
        release r1
        reserve r4 A:2
        open r5 A:1 far:1
        take r5 A:1 -> INSUFFICIENT
        abort r5
        release r4
        take r6 A:2 attempt 7
        reserve r7 A:1 -> CONTENDED
        follow r6 A:0/1/1@DC1 seq 9
        reserve r7 A:1 -> INSUFFICIENT
        follow r6 A:0/0/1@DC1 seq 10
        reserve r8 A:1
    """,
    "a leg counts to its customer, once for all attempts": """
        level A@DC1 9 v1
        channel web {"held_units_per_customer":3}
        open r1 A:2 far:2 for c-1 -> LIMIT_EXCEEDED held_units_per_customer
        open r1 A:2 far:1 -> CUSTOMER_REQUIRED
        open r1 A:2 far:1 for c-1
        take r1 A:2 for c-1
        reserve r2 A:2 for c-1 -> LIMIT_EXCEEDED held_units_per_customer
        take r9 A:2 for c-1 attempt 7 -> LIMIT_EXCEEDED held_units_per_customer
        decide r1 A:2@DC1 far:1@FAR for c-1
        reserve r2 A:1 for c-1
        release r2
        confirm r1
        reserve r5 A:3 for c-1
        release r5
        take r3 A:3 attempt 7 for c-1
        take r3 A:3 attempt 8 for c-1
        take r3 A:4 attempt 9 for c-1 -> LIMIT_EXCEEDED held_units_per_customer
        drop r3 attempt 8
        reserve r4 A:3 for c-1
    """,
    "units of a leg that hang on a delivery count on its day, there and at home": """
        level A@DC1 2 v1
        incoming A@DC1 po1 5 d5 v1
        open r1 A:5/d6 far:1
        take r1 A:5/d6
        = A@DC1 2 0 0
        reserve r2 A:2
        reserve r3 A:1/d6 -> CONTENDED
        abort r1
        = nothing
        reserve r4 A:5/d6
    """,
    "what a customer bought of another partition's skus is counted there alone": """
        level A@DC1 9 v1
        campaign bf +0 +600 A:5 {"per_customer":3}
        open r1 A:1 far:2 for c-1 in bf
        take r1 A:1 for c-1 in bf
        decide r1 A:1@DC1 far:2@FAR for c-1 in bf
        confirm r1
        open r2 A:3 far:1 for c-1 in bf -> LIMIT_EXCEEDED per_customer
        open r2 A:2 far:3 for c-1 in bf
        take r2 A:2 for c-1 in bf
        decide r2 A:2@DC1 far:3@FAR for c-1 in bf
        release r2
        open r3 A:2 far:3 for c-1 in bf
    """,
    "what a basket replaces counts to no limit, at home and elsewhere": """
        level A@DC1 20 v1
        campaign bf -1 +600 A:10 {"per_customer":3,"waiting_room":true}
        channel web {"held_units_per_customer":4}
        open r1 A:3 far:1 for c-1 in bf with t1
        take r1 A:3 for c-1 in bf with t1
        decide r1 A:3@DC1 far:1@FAR for c-1 in bf with t1
        open r2 A:2 far:2 for c-1 in bf with t1 replaces r1
        take r2 A:2 for c-1 in bf with t1 -> TICKET_REQUIRED used
        take r2 A:2 for c-2 in bf with t1 replaces r1 -> TICKET_REQUIRED used
        take r2 A:4 for c-1 in bf with t1 replaces r1 -> LIMIT_EXCEEDED per_customer
        take r2 A:2 for c-1 in bf with t1 replaces r1
        take r2 A:2 for c-1 in bf with t1 replaces r1
        decide r2 A:2@DC1 far:2@FAR for c-1 in bf with t1 replaces r1
        = A@DC1 18 2 0
        take b1 A:2 for c-2 attempt 9
        follow b1 A:2/0/0@DC1 seq 12
        take b2 A:3 for c-2 attempt 15 -> LIMIT_EXCEEDED held_units_per_customer
        take b2 A:5 for c-2 attempt 15 replaces b1 -> LIMIT_EXCEEDED held_units_per_customer
        take b2 A:3 for c-2 attempt 15 replaces r2 -> LIMIT_EXCEEDED held_units_per_customer
        take b2 A:3 for c-2 attempt 15 replaces b1
        = A@DC1 13 7 0
    """,
    "a hold of a basket is as long as its channel allows": """
        level A@DC1 9 v1
        channel web {"max_hold_seconds":60}
        open r1 A:1 far:1 ttl 61 -> LIMIT_EXCEEDED ttl
        open r1 A:1 far:1 in bf -> UNKNOWN_CAMPAIGN bf
        open r1 A:1 far:1
        take r1 A:1
        decide r1 A:1@DC1 far:1@FAR ttl 61 -> LIMIT_EXCEEDED ttl
        decide r1 A:1@DC1 far:1@FAR in bf -> UNKNOWN_CAMPAIGN bf
        decide r1 A:1@DC1 far:1@FAR
        wait 63
        = r1 expired 1:0/0 2:0/0
    """,
    "another request under the same key takes the identity first": """
        level A@DC1 9 v1
        open r1 A:4 far:3
        take r1 A:4
        reserve r1 A:1 as 2
        decide r1 A:4@DC1 far:3@FAR -> KEY_REUSED
        abort r1
        = A@DC1 8 1 0
        = nothing
    """,
}


@pytest.mark.parametrize("name", TABLES)
def test_legs(table: Table, name: str) -> None:
    table.run(TABLES[name])


def test_every_step_leaves_one_entry_with_what_it_moved(table: Table) -> None:
    table.run(
        """
        level A@DC1 9 v1
        open r1 A:4 far:1
        take r1 A:4
        decide r1 A:4@DC1 far:1@FAR
        followed r1
        open r2 A:1 far:1
        take r2 A:1
        abort r2
        take r3 A:2 attempt 99
        follow r3 A:1@DC1 seq 100
        """
    )
    told = [entry for entry in table.entries if hasattr(entry, "leg") or isinstance(entry, Held)]
    assert [type(entry) for entry in told] == [LegTaken, Held, LegTaken, LegDropped, LegTaken, LegFollowed]
    assert [[(b.sku, b.held) for b in entry.balances] for entry in told] == [
        [("A", held)] for held in (4, 4, 5, 4, 6, 5)
    ]
    assert [type(e) for e in table.entries if isinstance(e, BasketOpened | BasketAborted)] == [
        BasketOpened, BasketOpened, BasketAborted,
    ]  # fmt: skip
    assert [e.seq for e in table.entries] == list(range(table.entries[0].seq, table.entries[-1].seq + 1))


def test_an_attempt_that_ran_out_is_aborted_before_the_next(table: Table) -> None:
    table.run("""
        level A@DC1 5 v1
        open r1 A:2 far:1
        pass 6
        open r1 A:2 far:1 call 2
    """)
    told = [type(e) for e in table.entries if isinstance(e, BasketOpened | BasketAborted)]
    assert told == [BasketOpened, BasketAborted, BasketOpened]


def test_a_late_leg_of_an_earlier_attempt_is_still_asked_about(table: Table) -> None:
    table.run("""
        level A@DC1 5 v1
        open r1 A:2 far:1
        take r1 A:2 attempt 99
        abort r1
    """)
    assert list(table.law.dump()["undecided"]) == ["b1:r1"]
    table.run("drop r1 attempt 99")
    assert table.law.dump()["undecided"] == {}


def test_a_basket_under_way_is_not_forgotten_with_its_leg(table: Table) -> None:
    """Somebody has to abort it, if its coordinator died."""
    table.run("level A@DC1 5 v1\nopen r1 A:2 far:1\ntake r1 A:2\ndrop r1")
    assert list(table.law.dump()["undecided"]) == [id_of("r1")]
