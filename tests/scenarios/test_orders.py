"""Events about orders: what left, what was cancelled, and what a source counts (R1, R8, R9, R39)."""

import pytest

from atp.domain.state import TOLD_MAX
from tests.scenarios.laws import START_MS
from tests.scenarios.table import Table

AVAILABLE = 'source wms {"kind":"wms","measure":"available"}\n'
ERP_SELLS = 'location DC1 {"kind":"warehouse","sources":[{"source":"erp","role":"authority"}]}\n'

TABLES = {
    "the authority's shipment above its level lowers its number, and a late level keeps it (R8 a)": """
        level A@DC1 10 v3
        reserve r1 A:4 order X
        confirm r1
        fulfilled X A:4@DC1 v5 e5
        = r1 fulfilled 1:0/0
        = A@DC1 6 0 0
        level A@DC1 10 v4
        = A@DC1 6 0 0
        level A@DC1 6 v5
        = A@DC1 6 0 0
        fulfilled X A:4@DC1 v5 e5 -> DUPLICATE
        = A@DC1 6 0 0
    """,
    "a shipment that the level shows only clears the commitment": """
        level A@DC1 10 v1
        reserve r1 A:4 order X
        confirm r1
        level A@DC1 6 v6
        = A@DC1 2 0 4
        fulfilled X A:4@DC1 v5 e5
        = A@DC1 6 0 0
        = r1 fulfilled 1:0/0
    """,
    "the same by reservation, which remembers it": """
        level A@DC1 10 v3
        reserve r1 A:4
        confirm r1
        fulfilled r:r1 A:3@DC1 v5 e5
        fulfilled r:r1 A:3@DC1 v5 e5 -> DUPLICATE
        = r1 committed 1:0/1
        = A@DC1 6 0 1
        fulfilled r:r2 A:3@DC1 v6 e6 -> ORPHANED
        raised orphan-shipment A DC1 wms b1:r2
        = A@DC1 3 0 1
    """,
    "somebody else's word stays subtracted until the authority shows it (R8 b)": ERP_SELLS + """
        level A@DC1 10 v1 by erp
        reserve r1 A:4 order X
        confirm r1
        fulfilled X A:4@DC1 v9 e1 by oms
        = A@DC1 6 0 0
        level A@DC1 10 v2 at 30 by erp
        = A@DC1 6 0 0
        level A@DC1 6 v3 at 200 by erp
        = A@DC1 6 0 0
    """,
    "the authority's own word ends what others told of, whatever the order": ERP_SELLS + """
        level A@DC1 10 v1 by erp
        reserve r1 A:4 order X
        confirm r1
        fulfil r1
        = A@DC1 6 0 0
        fulfilled X A:3@DC1 v2 e2 by erp
        = A@DC1 6 0 0
        level A@DC1 7 v3 by erp
        = A@DC1 6 0 0
        fulfilled X v2 e3 by erp
        = A@DC1 7 0 0
        fulfilled X v2 e4 by erp -> DUPLICATE
        raised none
    """,
    "the authority's own word ends nothing that others told of another order": AVAILABLE + """
        level A@DC1 10 v1
        reserve r1 A:4 order X
        reserve r2 A:2 order Y
        confirm r1
        confirm r2
        acknowledged X v2 e2
        fulfilled X v7 e7 by oms
        fulfilled Y v8 e8 by oms
        = A@DC1 4 0 0
        fulfilled X v3 e3
        = A@DC1 4 0 0
        level A@DC1 6 v4
        = A@DC1 4 0 0
        fulfilled Y v5 e5
        = A@DC1 4 0 0
    """,
    "one shipment counts once whichever way it arrives": ERP_SELLS + """
        level A@DC1 10 v1 by erp
        reserve r1 A:4 order X
        confirm r1
        fulfil r1 1:2 shipment 7
        fulfilled X A:2@DC1 v5 e1 shipment 7 by oms
        = r1 committed 1:0/2
        = A@DC1 6 0 2
        fulfilled X A:2@DC1 v5 e2 shipment 8 by oms
        fulfil r1 shipment 8 -> REPLAYED replayed
        = A@DC1 6 0 0
        fulfilled X A:2@DC1 v2 e3 shipment 7 by erp
        fulfilled X A:2@DC1 v3 e4 shipment 8 by erp
        = A@DC1 6 0 0
        fulfilled X A:2@DC1 v4 e5 shipment 8 by erp
        = A@DC1 6 0 0
        level A@DC1 6 v4 by erp
        = A@DC1 6 0 0
        raised none
    """,
    "oldest first, and what the order does not have is a person's to look at": """
        level A@DC1 10 v1
        reserve r1 A:2 order X
        reserve r2 A:3 order X
        confirm r2
        confirm r1
        fulfilled X A:3@DC1 v2 e2
        = r1 fulfilled 1:0/0
        = r2 committed 1:0/2
        = A@DC1 5 0 2
        fulfilled X A:4@DC1 v3 e3 -> ORPHANED
        raised orphan-shipment A DC1 wms X
        = A@DC1 3 0 0
    """,
    "a held line is confirmed and fulfilled; a physical fact wins (R9)": """
        level A@DC1 10 v1
        reserve r1 A:4 order X ttl 60
        fulfilled X A:3@DC1 v2 e2
        = r1 held 1:1/0
        = A@DC1 6 1 0
        fulfilled X v3 e3
        = r1 fulfilled 1:0/0
        = A@DC1 6 0 0
        wait 90
        = r1 fulfilled 1:0/0
    """,
    "shipped from elsewhere it clears the commitment and lowers the number where it left (R9)": """
        level A@DC1 10 v1
        level A@DC2 10 v1
        reserve r1 A:4@DC1 order X
        confirm r1
        fulfilled X A:4@DC2 v2 e2
        = A@DC1 10 0 0
        = A@DC2 6 0 0
        = r1 fulfilled 1:0/0
        raised shipped-elsewhere A DC2 wms b1:r1
    """,
    "units promised where it left go first, paid ones before others": """
        level A@DC1 10 v1
        level A@DC2 10 v1
        reserve r1 A:2@DC1 order X
        reserve r2 A:2@DC2 order X
        reserve r3 A:2@DC2 order X
        confirm r1
        confirm r3
        fulfilled X A:2@DC2 v2 e2
        = r3 fulfilled 1:0/0
        fulfilled X A:2@DC2 v3 e3
        = r2 fulfilled 1:0/0
        = r1 committed 1:0/2
        raised none
    """,
    "without a location it left where it was promised": """
        level A@DC1 2 v1
        level A@DC2 10 v1
        reserve r1 A:2@DC1 A:3@DC2 order X
        confirm r1
        fulfilled X A:4 v2 e2
        = A@DC1 0 0 0
        = A@DC2 7 0 1
        fulfilled X A:4 v3 e3 -> ORPHANED
        raised orphan-shipment A - wms X
        = A@DC2 7 0 0
    """,
    "complete closes the rest of the order there as short (R9)": """
        level A@DC1 10 v1
        level A@DC2 10 v1
        reserve r1 A:4@DC1 A:2@DC2 order X
        confirm r1
        fulfilled X A:3@DC1 v2 e2 closed
        = r1 committed 1:0/0 2:0/2
        = A@DC1 6 0 0
        reserve r2 A:7@DC1 -> INSUFFICIENT
        level A@DC1 6 v1 pos 1
        = A@DC1 2 0 0
        level A@DC1 6 v2
        = A@DC1 6 0 0
        = A@DC2 8 0 2
    """,
    "who only says what was not on the shelf has no number there, live or rebuilt": """
        source erp {"kind":"erp","measure":"available"}
        level A@DC1 10 v1
        reserve r1 A:4 order X
        confirm r1
        cancelled X A:2@DC1! by erp v2 e2
        = r1 committed 1:0/2
        = A@DC1 6 0 2
    """,
    "what was not on the shelf comes back to nobody until the next level (R9)": """
        level A@DC1 10 v1
        reserve r1 A:4 order X
        confirm r1
        cancelled X A:2@DC1! v2 e2
        = r1 committed 1:0/2
        = A@DC1 6 0 2
        reserve r2 A:7 -> INSUFFICIENT
        cancelled X A:2@DC1! v2 e2 -> DUPLICATE
        cancelled X A:2@DC1! v4 e4
        = r1 released 1:0/0
        = A@DC1 6 0 0
        level A@DC1 10 v3
        = A@DC1 8 0 0
        level A@DC1 6 v5
        = A@DC1 6 0 0
    """,
    "a level that knows of the empty shelf has subtracted it": """
        level A@DC1 10 v1
        reserve r1 A:4 order X
        confirm r1
        level A@DC1 8 v3
        cancelled X A:2@DC1! v2 e2
        = A@DC1 6 0 2
    """,
    "nor is it subtracted again because nobody knows the order yet, or it has fewer units": """
        level A@DC1 10 v3
        cancelled X A:2@DC1! v2 e2 -> AWAITED
        = A@DC1 10 0 0
        reserve r1 A:4 order Y
        confirm r1
        cancelled Y A:5@DC1! v3 e3 -> ORPHANED
        = A@DC1 10 0 0
        cancelled Z A:2@DC1! v4 e4 -> AWAITED
        = A@DC1 8 0 0
    """,
    "another system's word of an empty shelf ends by time": ERP_SELLS + """
        level A@DC1 10 v1 by erp
        reserve r1 A:4 order X
        confirm r1
        cancelled X A:2@DC1! v2 e2 by wms
        = A@DC1 6 0 2
        level A@DC1 10 v9 at 30 by wms
        level A@DC1 10 v9 at 30 by erp
        = A@DC1 6 0 2
        level A@DC1 8 v10 at 200 by erp
        = A@DC1 6 0 2
    """,
    "a customer's cancellation gives units back": """
        level A@DC1 10 v1
        reserve r1 A:4 order X
        reserve r2 A:2 order X
        confirm r1
        cancelled X A:5@DC1 v2 e2
        = r1 released 1:0/0
        = r2 held 1:1/0
        = A@DC1 9 1 0
        cancelled X v3 e3
        = A@DC1 10 0 0
        cancelled X v3 e4 -> DUPLICATE
        cancelled X A:1@DC1 v4 e5 -> ORPHANED
        raised orphan-order A DC1 wms X
    """,
    "an acknowledgement carries the version of its source (R1)": AVAILABLE + """
        level A@DC1 10 v1
        reserve r1 A:4 order X
        confirm r1
        acknowledged X A:4@DC1 v2 e2
        = r1 acknowledged 1:0/4
        = A@DC1 6 0 4
        reserve r2 A:10 -> INSUFFICIENT
        level A@DC1 6 v3
        = A@DC1 6 0 4
    """,
    "an acknowledgement of the whole order waits for what is held": AVAILABLE + """
        level A@DC1 10 v1
        reserve r1 A:4 order X
        acknowledged X v2 e2 -> AWAITED
        level A@DC1 6 v2
        = A@DC1 2 4 0
        confirm r1
        = r1 acknowledged 1:0/4
        = A@DC1 6 0 4
        waits X 0
    """,
    "an included order's shipment changes nothing, and its cancellation gives nothing back": AVAILABLE + """
        level A@DC1 10 v1
        reserve r1 A:4 order X
        confirm r1
        acknowledged X v2 e2
        level A@DC1 6 v2
        fulfilled X A:1@DC1 v3 e3
        = A@DC1 6 0 3
        level A@DC1 6 v3
        = A@DC1 6 0 3
        cancelled X A:1@DC1! v4 e4
        = A@DC1 6 0 2
        cancelled X A:1@DC1 v5 e5
        = A@DC1 6 0 1
        fulfil r1
        fulfilled X A:1@DC1 v6 e6
        = A@DC1 6 0 0
    """,
    "a level names the orders that it counts (R39)": AVAILABLE + """
        level A@DC1 10 v1
        reserve r1 A:4 order X
        reserve r2 A:1 order Y
        confirm r1
        confirm r2
        level A@DC1 6 v2 includes X,nobody
        = r1 acknowledged 1:0/4
        = A@DC1 5 0 5
        level A@DC1 6 v3
        = A@DC1 5 0 5
    """,
    "a stale level's inclusion counts at its own version, and only grows (R39)": AVAILABLE + """
        level A@DC1 10 v1
        reserve r1 A:4 order X
        confirm r1
        level A@DC1 6 v3
        = A@DC1 2 0 4
        level A@DC1 6 v2 includes X -> STALE
        = A@DC1 6 0 4
        level A@DC1 6 v4
        = A@DC1 6 0 4
    """,
    "a level counts what its source booked of our own commitments, told before it (R39)": AVAILABLE + """
        level A@DC1 10 v1
        reserve r1 A:4
        reserve r2 A:1
        reserve r3 A:2
        confirm r1
        confirm r2
        booked A@DC1 9 v2 r1,r3,nobody
        = r1 acknowledged 1:0/4
        = A@DC1 3 2 5
        level A@DC1 6 v2
        = A@DC1 3 2 5
        booked A@DC1 9 v2 r1
        booked A@DC1 9 v1 r2
        = A@DC1 4 2 5
        level A@DC1 5 v3
        = A@DC1 3 2 5
    """,
    "commitments booked by a source that is heard for the first time wait for its level": AVAILABLE + """
        source erp {"kind":"erp","measure":"available"}
        location DC1 {"kind":"warehouse","sources":[{"source":"wms","role":"authority"}]}
        level A@DC1 10 v1
        reserve r1 A:4
        confirm r1
        booked A@DC1 9 v2 r1 by erp
        level A@DC1 6 v3 by erp
        = A@DC1 6 0 4
        booked A@DC1 9 v2 r1 measure on_hand -> MEASURE_MISMATCH available
        booked A@nowhere 9 v2 r1 -> UNKNOWN_LOCATION nowhere
        cursor 7
        booked A@DC1 9 v2 r1 pos 7 -> SETTLED
    """,
    "what one source includes, another does not count": AVAILABLE + """
        source erp {"kind":"erp","measure":"available"}
        level A@DC1 10 v1
        reserve r1 A:4 order X
        confirm r1
        level A@DC1 6 v9 by erp includes X
        = A@DC1 6 0 4
        level A@DC1 6 v2 includes X
        = A@DC1 6 0 4
        level A@DC1 5 v10 by erp includes X
        = A@DC1 6 0 4
    """,
    "units that others shipped this minute are subtracted again by a level that names their order": AVAILABLE + """
        level A@DC1 10 v1
        reserve r1 A:4 order X
        confirm r1
        level A@DC1 6 v2 includes X
        fulfilled X A:4@DC1 v9 e1 by oms
        = A@DC1 6 0 0
        source wms {"kind":"wms","measure":"on_hand"}
        level A@DC1 6 v3 by erp includes X
        = A@DC1 2 0 0
    """,
    "an event before its order: the stock counts at once, the order takes the rest": """
        level A@DC1 10 v1
        fulfilled X A:3@DC1 v2 e2 -> AWAITED
        waits X 1
        = A@DC1 7 0 0
        fulfilled X A:3@DC1 v2 e2 -> DUPLICATE
        reserve r1 A:2
        = A@DC1 5 2 0
        confirm r1 order X
        = r1 fulfilled 1:0/0
        = A@DC1 7 0 0
        waits X 1
        reserve r2 A:2 order X
        = r2 held 1:1/0
        waits X 0
        wait 1000
        raised none
    """,
    "whose order never comes is told to a person": """
        level A@DC1 10 v1
        fulfilled X A:3@DC1 v2 e2 -> AWAITED
        cancelled Y v2 e3 -> AWAITED
        wait 899
        raised none
        wait 1
        raised orphan-shipment A DC1 wms X
        raised orphan-order - - wms Y
        waits X 0
        reserve r1 A:4 order X
        = r1 held 1:4/0
    """,
    "a confirm may name another order": """
        level A@DC1 10 v1
        reserve r1 A:4 order X
        confirm r1 order Y
        fulfilled X A:4@DC1 v2 e2 -> AWAITED
        = r1 committed 1:0/4
        fulfilled Y A:4@DC1 v3 e3
        = r1 fulfilled 1:0/0
    """,
    "an order is forgotten with the whole record of its reservation": """
        level A@DC1 10 v1
        reserve r1 A:4 order X
        confirm r1
        fulfilled X v2 e2
        journal
        wait 1000
        gone r1
        names X 0
        fulfilled X A:1@DC1 v3 e3 -> AWAITED
        fulfilled r:r1 A:1@DC1 v2 e2 -> DUPLICATE
    """,
    "a whole shipment that others told of ends what they told": """
        level A@DC1 10 v1
        reserve r1 A:2 order X
        reserve r2 A:3 order X
        confirm r1
        confirm r2
        fulfil r1 shipment 7
        fulfilled X v2 e2 shipment 7
        = r2 committed 1:0/3
        = A@DC1 5 0 3
        level A@DC1 8 v2
        = A@DC1 5 0 3
    """,
    "nobody misses on a shelf what is still to come": """
        level A@DC1 2 v1
        incoming A@DC1 po1 5 d5 v1
        reserve r1 A:5/d6 order X
        confirm r1
        cancelled X A:5! v3 e3
        = A@DC1 2 0 0
    """,
    "events wait each for its own time": """
        level A@DC1 10 v1
        fulfilled X A:3@DC1 v2 e2 -> AWAITED
        wait 500
        cancelled X v3 e3 -> AWAITED
        waits X 2
        wait 400
        waits X 1
        raised orphan-shipment A DC1 wms X
        wait 500
        waits X 0
    """,
    "what an order includes grows with what is confirmed": AVAILABLE + """
        level A@DC1 10 v1
        reserve r1 A:4 order X
        confirm r1 1:1
        level A@DC1 9 v2 includes X
        = A@DC1 6 3 1
        confirm r1
        = A@DC1 6 0 4
        level A@DC1 6 v3 includes X
        = A@DC1 6 0 4
        level A@DC1 6 v4 includes X
        = A@DC1 6 0 4
    """,
    "events that cannot be taken change nothing": """
        level A@DC1 10 v1 pos 3
        reserve r1 A:4 order X
        confirm r1
        cursor 5
        fulfilled X A:4@DC1 v2 e2 pos 5 -> SETTLED
        fulfilled X A:1@DC1 A:1@MARS v2 e2 pos 6 -> UNKNOWN_LOCATION MARS
        fulfilled X A:4@DC1 v2 e2 pos 6 time -> VERSION_KIND_MISMATCH sequence
        = A@DC1 6 0 4
    """,
    "a return raises the number as by a delta": """
        level A@DC1 10 v1
        returned A@DC1 3 v3 e1
        = A@DC1 13 0 0
        returned A@DC1 3 v3 e1 -> DUPLICATE
        level A@DC1 8 v2
        = A@DC1 11 0 0
        level A@DC1 11 v3
        = A@DC1 11 0 0
        returned A@DC1 3 v3 e1 -> INCLUDED
    """,
    "what came back unfit is on hand and not for sale, until a status counts it": """
        level A@DC1 10 v1
        returned A@DC1 3 v3 e1 unfit
        = A@DC1 10 0 0
        returned A@DC1 3 v3 e1 unfit -> DUPLICATE
        level A@DC1 13 v4
        = A@DC1 10 0 0
        status A@DC1 1 v2
        = A@DC1 9 0 0
        status A@DC1 3 v5
        = A@DC1 10 0 0
        returned A@DC1 2 v4 e2 unfit -> INCLUDED
        level A@DC1 13 v9
        returned A@DC1 1 v8 e3 unfit
        = A@DC1 9 0 0
        returned A@DC1 1 v8 e3 unfit -> DUPLICATE
    """,
    "numbers net of unsellable units do not count what came back unfit": AVAILABLE + """
        level A@DC1 10 v1
        returned A@DC1 3 v3 e1 unfit
        = A@DC1 10 0 0
        returned A@DC1 2 v4 e2
        = A@DC1 12 0 0
    """,
    "a shipment of more than there is makes a shortage": """
        level A@DC1 5 v1
        reserve r1 A:4
        confirm r1
        fulfilled Z A:3@DC1 v2 e2 -> AWAITED
        shortage A@DC1 2 report 0 open
    """,
}  # fmt: skip


@pytest.mark.parametrize("name", TABLES)
def test_table(table: Table, name: str) -> None:
    table.run(TABLES[name])


def test_what_others_tell_is_kept_apart_by_the_minute_as_far_as_there_is_room(table: Table) -> None:
    table.run("level A@DC1 20 v1\nreserve r1 A:12 order X\nconfirm r1")
    for _ in range(10):
        table.run("fulfil r1 1:1\npass 60")
    (line,) = table.law.dump()["reservations"]["r1"]["lines"]
    assert len(line.allocations[0].told) == 3 * TOLD_MAX
    table.run(
        "= A@DC1 8 0 2\nfulfilled X A:10@DC1 v2 e2\n= r1 committed 1:0/2\nlevel A@DC1 10 v3 at 999\n= A@DC1 8 0 2"
    )


def test_an_order_included_after_an_outage_is_kept_with_the_deadline_that_counts(table: Table) -> None:
    table.run("""
        level A@DC1 9 v1
        reserve r1 A:4
        confirm r1 1:2 order X
        outage 700
        level A@DC1 7 v2 includes X
    """)
    assert table.law.dump()["due"] == {"b1:r1": START_MS + 730_000}
