"""What shops complain about, as tests of the law; the numbers are those of research/field.md §3.

Each has its own short life from stock to answer, also where another scenario covers the rule: a reader who comes with
one of these complaints finds here what happens to it.
"""

from atp.domain.entries import ShortageFound
from tests.scenarios.table import Table


def test_complaint_01_two_buyers_of_one_unit_have_one_winner(table: Table) -> None:
    """Others check in one transaction and allocate in another, so both buyers win. Here checking is allocating."""
    table.run(
        """
        level A@DC1 1 v1
        reserve first A:1
        reserve second A:1 -> INSUFFICIENT
        = A@DC1 0 1 0
        confirm first
        reserve second A:1 -> INSUFFICIENT replayed
        reserve third A:1 -> INSUFFICIENT
        = A@DC1 0 0 1
        """
    )


def test_complaint_03_two_lines_of_one_basket_are_summed(table: Table) -> None:
    """Elsewhere each line of a bundle passes its own check and the sum oversells. Here lines of one sku are summed."""
    table.run(
        """
        level A@DC1 5 v1
        reserve r1 A:3 A:3 -> INSUFFICIENT
        reserve r2 A:3@DC1 A:3 -> INSUFFICIENT
        = A@DC1 5 0 0
        reserve r3 A:3 A:2
        = r3 held 1:3/0 2:2/0
        = A@DC1 0 5 0
        reserve r4 A:1 -> INSUFFICIENT
        """
    )


def test_complaint_05_counters_are_the_sum_of_the_holds(table: Table) -> None:
    """Reserved counters go negative or drift from the hold rows when ends are told twice. Here no order does that."""
    table.run(
        """
        level A@DC1 9 v1
        reserve r1 A:3 ttl 5
        reserve r2 A:3
        reserve r3 A:3
        wait 8
        release r1 -> EXPIRED
        confirm r2 1:2
        release r2 1:2 of held -> NOT_ACTIVE 1
        release r2 of all
        release r2 of all -> REPLAYED replayed
        confirm r3
        fulfil r3 1:1
        release r3 1:3 of committed -> NOT_ACTIVE 1
        """
    )
    state = table.law.dump()
    held, committed, shipped, *_ = state["positions"]["A", "DC1"]
    allocations = [a for r in state["reservations"].values() for line in r["lines"] for a in line.allocations]
    assert (held, committed) == (sum(a.held for a in allocations), sum(a.committed for a in allocations)) == (0, 2)
    assert sum(shipped.values()) == sum(a.fulfilled for a in allocations) == 1


def test_complaint_06_a_sale_is_deducted_once_beside_a_source_that_counts_the_shelf(table: Table) -> None:
    """Elsewhere the hold and the ERP's number both take the sale, so users ask to switch reservations off.

    Here a sale is committed until it is shipped, and a shipment is taken by the platform until the ERP's number is late
    enough to show it. A number that shows it before the platform is told sells less for that time, never more.
    """
    table.run(
        """
        source erp {"kind":"erp","measure":"on_hand"}
        level A@DC1 10 v1 by erp at 0
        reserve r1 A:4
        confirm r1
        acknowledge r1 by erp v2
        level A@DC1 10 v2 by erp at 1
        = A@DC1 6 0 4
        fulfil r1
        = A@DC1 6 0 0
        wait 300
        level A@DC1 6 v3 by erp at 300
        = A@DC1 6 0 0
        reserve r2 A:7 -> INSUFFICIENT
        reserve r3 A:6
        confirm r3
        level A@DC1 0 v4 by erp at 300
        = A@DC1 -6 0 6
        fulfil r3
        reserve r4 A:1 -> INSUFFICIENT
        wait 300
        level A@DC1 0 v5 by erp at 600
        = A@DC1 0 0 0
        """
    )


def test_complaint_06_a_sale_is_deducted_once_beside_a_source_that_counts_orders(table: Table) -> None:
    """The ERP's number is already less what it has booked. Here an order it has acknowledged is not taken again.

    So the sum is right in every order of order, acknowledgement, number and shipment, and never too high between them.
    """
    table.run('source erp {"kind":"erp","measure":"available"}')
    steps = {
        "A": ["acknowledge r-A by erp v2", "level A@DC1 6 v2 by erp", "fulfil r-A"],
        "B": ["level B@DC1 6 v2 by erp", "acknowledge r-B by erp v2", "fulfil r-B"],
        "C": ["acknowledge r-C by erp v2", "level C@DC1 10 v1 pos 1 by erp", "level C@DC1 6 v3 by erp", "fulfil r-C"],
    }
    for sku, told in steps.items():
        table.run(f"level {sku}@DC1 10 v1 by erp\nreserve r-{sku} {sku}:4\nconfirm r-{sku}")
        for line in told:
            table.run(f"{line}\nreserve more-{sku} {sku}:7 dry -> INSUFFICIENT")
        table.run(f"= {sku}@DC1 6 0 0\nreserve rest-{sku} {sku}:6")


def test_complaint_07_an_echo_of_the_sale_as_stock_0_stops_no_shipment(table: Table) -> None:
    """Elsewhere the ERP sets stock to 0 after the last sale and shipping fails. Here promises outlive any number.

    A source that counts the shelf cannot mean a booked sale, so its 0 is reported as a shortage; but what was promised
    stays promised, can be confirmed and shipped, and nobody else is sold a unit.
    """
    table.run(
        """
        source erp {"kind":"erp","measure":"on_hand"}
        level A@DC1 3 v1 by erp at 0
        reserve paid A:2
        confirm paid
        reserve paying A:1
        level A@DC1 0 v2 by erp at 1
        = A@DC1 -3 1 2
        shortage A@DC1 3 report 0 open
        reserve other A:1 -> INSUFFICIENT
        fulfil paid
        confirm paying
        fulfil paying
        = paid fulfilled 1:0/0
        = paying fulfilled 1:0/0
        reserve other A:1 -> INSUFFICIENT replayed
        wait 300
        level A@DC1 5 v3 by erp at 300
        = A@DC1 5 0 0
        shortage A@DC1 none
        """
    )


def test_complaint_07_an_echo_of_an_acknowledged_sale_is_no_shortage(table: Table) -> None:
    """Of a source that counts orders, 0 after the last sale is the truth: nothing is short, and shipping goes on."""
    table.run(
        """
        source erp {"kind":"erp","measure":"available"}
        level A@DC1 2 v1 by erp
        reserve r1 A:2
        confirm r1
        acknowledge r1 by erp v2
        level A@DC1 0 v2 by erp
        = A@DC1 0 0 2
        shortage A@DC1 none
        reserve other A:1 -> INSUFFICIENT
        fulfil r1
        = r1 fulfilled 1:0/0
        = A@DC1 0 0 0
        level A@DC1 5 v3 by erp
        = A@DC1 5 0 0
        """
    )


def test_complaint_08_a_retried_shipment_release_or_cancellation_counts_once(table: Table) -> None:
    """Elsewhere the retry credits stock twice. Here a change is applied once per key, a shipment once per id (R4)."""
    table.run(
        """
        level A@DC1 10 v1
        reserve r1 A:4
        confirm r1
        fulfil r1 1:1 key 1 shipment 70
        fulfil r1 1:1 key 1 shipment 70 -> REPLAYED replayed
        fulfil r1 1:1 key 2 shipment 70 -> REPLAYED replayed
        release r1 1:1 of committed key 3
        release r1 1:1 of committed key 3 -> REPLAYED replayed
        = A@DC1 7 0 2
        release r1 of committed key 4
        release r1 of committed key 4 -> REPLAYED replayed
        release r1 of committed key 5 -> NOT_ACTIVE
        = r1 fulfilled 1:0/0
        = A@DC1 9 0 0
        """
    )


def test_complaint_09_what_is_available_together_can_be_reserved_together(table: Table) -> None:
    """Elsewhere the check adds the locations and the reserve takes only the first. Here both draw on all of them."""
    table.run(
        """
        level A@DC1 2 v1
        level A@DC2 3 v1
        level A@S1 1 v1
        reserve quote A:6 dry -> QUOTED
        reserve more A:7 -> INSUFFICIENT
        reserve r1 A:6
        = r1 held 1:6/0
        = A@DC1 0 2 0
        = A@DC2 0 3 0
        = A@S1 0 1 0
        """
    )


def test_complaint_10_negative_stock_blocks_no_other_location(table: Table) -> None:
    """Elsewhere a negative count in one warehouse is added to the others' stock. Here it hides and lends nothing."""
    table.run(
        """
        level A@DC1 -7 v1
        level A@DC2 3 v1
        reserve r0 A:1@DC1 -> INSUFFICIENT
        reserve r1 A:3
        = A@DC1 -7 0 0
        = A@DC2 0 3 0
        reserve r2 A:1 -> INSUFFICIENT
        """
    )
    assert table.last.shortfalls[0].available == 0
    assert not any(isinstance(entry, ShortageFound) and entry.location == "DC2" for entry in table.entries)


def test_complaint_13_nobody_is_blocked_by_their_own_hold(table: Table) -> None:
    """Elsewhere a changed basket finds the stock held by the basket before it. Here it replaces it in the same step."""
    table.run(
        """
        level A@DC1 3 v1
        reserve r1 A:2 for c-1
        reserve r2 A:3 for c-1 -> INSUFFICIENT
        reserve r3 A:3 replaces r1 for c-1
        = r1 released 1:0/0
        = r3 held 1:3/0
        reserve r4 A:4 replaces r3 for c-1 -> INSUFFICIENT
        = r3 held 1:3/0
        = A@DC1 0 3 0
        """
    )


def test_complaint_14_a_failed_payment_keeps_the_hold_for_a_retry_until_its_deadline(table: Table) -> None:
    """Release at once, or keep for the retry? Maintainers choose for everybody; here it is the caller's choice.

    Kept, the units are safe until the deadline, which may be moved; paid too late, `reacquire` takes them again or
    says that they are gone, and the money goes back.
    """
    table.run(
        """
        level A@DC1 2 v1
        reserve kept A:1 ttl 60
        wait 50
        extend kept 60
        wait 50
        reserve other A:2 -> INSUFFICIENT
        confirm kept
        reserve given A:1
        release given
        reserve next A:1 ttl 5
        wait 8
        confirm next -> EXPIRED
        confirm next reacquire
        = A@DC1 0 0 2
        reserve late A:1 -> INSUFFICIENT
        """
    )
    table.run(
        """
        level B@DC1 1 v1
        reserve slow B:1 ttl 5
        wait 8
        reserve quick B:1
        confirm slow reacquire -> INSUFFICIENT
        = B@DC1 0 1 0
        """
    )


def test_complaint_17_the_loser_is_told_which_line_and_how_many_are_left(table: Table) -> None:
    """Elsewhere the loser of the last unit gets an exception, or an error without item and rest."""
    table.run("level A@DC1 9 v1\nlevel B@DC1 2 v1\nlevel B@DC2 1 v1\nreserve r1 B:1@DC1")
    table.run("reserve r2 A:1 B:2@DC1 -> INSUFFICIENT")
    (refused,) = table.last.shortfalls
    assert (refused.line, refused.sku, refused.requested, refused.available) == (1, "B", 2, 1)
    assert (refused.held_by_others, refused.other_locations) == (1, [("DC2", 1)])


def test_complaint_18_editing_an_order_neither_reserves_twice_nor_brings_holds_back(table: Table) -> None:
    """Elsewhere an edit re-reserves everything, a failed one restores holds that are used up, shipping leaves some."""
    table.run(
        """
        level A@DC1 4 v1
        level B@DC1 1 v1
        reserve r1 A:3 B:1 for c-1
        confirm r1 1:1
        fulfil r1 1:1
        release r1 1:1 of held
        = r1 held 1:1/0 2:1/0
        reserve r2 A:1 replaces r1 for c-1 -> NOT_ACTIVE replaces
        = r1 held 1:1/0 2:1/0
        = A@DC1 2 1 0
        confirm r1
        fulfil r1
        fulfil r1 -> REPLAYED replayed
        release r1 of all -> NOT_ACTIVE
        = r1 fulfilled 1:0/0 2:0/0
        = A@DC1 2 0 0
        = B@DC1 0 0 0
        """
    )


def test_complaint_19_a_lapsed_hold_is_free_and_the_floor_is_kept(table: Table) -> None:
    """Elsewhere a lapsed hold still blocks until somebody cleans up, and zero is the only floor.

    Here every batch first ends what is due, and the floor is the safety stock of the item. That somebody is told when
    nothing is left is tests/rooms/outbox/test_complaints.py.
    """
    table.run(
        """
        item A {"safety_stock":2}
        level A@DC1 5 v1
        reserve r1 A:3 ttl 5
        reserve r2 A:1 -> INSUFFICIENT
        = A@DC1 0 3 0
        wait 8
        = A@DC1 3 0 0
        reserve r3 A:3
        reserve r4 A:1 -> INSUFFICIENT
        item A {"safety_stock":0}
        reserve r5 A:2
        = A@DC1 0 5 0
        """
    )
