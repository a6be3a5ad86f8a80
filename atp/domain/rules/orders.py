"""Events about orders: units left, were cancelled, or are counted by a source (R1, R8, R9).

A physical fact wins: what was shipped is shipped, whether it was held or committed, and wherever it was promised. An
event has two parts. Its stock part counts at once, by the rules of the source that tells it: the authority's own number
falls as by a delta, anybody else's word stays subtracted until the authority shows it. Its order part takes the units
of the order's reservations, oldest first; what they do not have waits for the order, or is a person's to look at.
"""

from collections.abc import Sequence
from copy import deepcopy

from msgspec import structs

from atp.domain.commands import TellOrder
from atp.domain.entries import OrderTold, WaitingServed
from atp.domain.ids import identity_of
from atp.domain.outcomes import Outcome
from atp.domain.records import Reservation
from atp.domain.results import Result
from atp.domain.rules.batch import Batch
from atp.domain.rules.clock import find_record
from atp.domain.rules.naming import may_wait, named, orphan, remember_event, reschedule, wait
from atp.domain.rules.sources import known_source, note_lag
from atp.domain.rules.stock import expected_kind
from atp.domain.rules.telling import Telling
from atp.domain.state import AWAIT_MS


def tell_order(batch: Batch, c: TellOrder) -> Result:
    """Take what a source says of an order, once."""
    if refusal := _refuse(batch, c):
        return refusal
    source = known_source(batch, c.source, c.version_kind, c.cause)
    version = (source.generation, *c.version)
    records = _records(batch, c) if c.part != "stock" else []
    if _is_repeat(batch, c, records):
        return Result(Outcome.DUPLICATE, batch.state.seq)
    note_lag(batch, source, c.as_of)
    telling = Telling(batch, c, version, batch.now, again=c.part == "order")
    left, waits = telling.tell(records), []
    if c.part == "stock":
        left = []  # another partition has the order
        if may_wait(batch, c.name):
            waits = [wait(batch, c, left)]  # only so that it counts once
    found_none = not c.lines and not telling.found_any and c.part != "stock"
    if found_none and telling.is_done(records):
        return Result(Outcome.DUPLICATE, batch.state.seq)
    outcome, until = Outcome.APPLIED, 0
    if left or found_none:
        outcome = Outcome.ORPHANED
        comes = not records or (c.what == "acknowledged" and telling.holds_any(records))
        if c.order and comes and may_wait(batch, c.order):
            outcome, waits = Outcome.AWAITED, [wait(batch, c, left)]
            until = waits[0][0]
        else:
            orphan(batch, c, left)
    remember_event(batch.state, c.name, c.event)
    seq = batch.next_seq()
    batch.entries.append(
        OrderTold(
            seq, batch.now, "", c.cause, c.what, c.reservation, c.source, c.order, version, c.stream, c.position,
            c.as_of, c.event, c.shipment, left, until, waits,
        )
    )  # fmt: skip
    return Result(outcome, seq)


def serve_waiting(batch: Batch, result: Result) -> Result:
    """A reservation that was just made or named takes, in the same step, what was told of its order before."""
    r, state = result.reservation, batch.state
    order = state.orders.get(r.order_ref) if r and r.order_ref and result.outcome is Outcome.APPLIED else None
    if r is None or order is None or not order.waiting:
        return result
    waiting, order.waiting = order.waiting, []
    for until, c in waiting:
        if c.part == "stock":
            order.waiting = [*order.waiting, (until, c)]
            continue
        version = (known_source(batch, c.source, c.version_kind, c.cause).generation, *c.version)
        telling = Telling(batch, c, version, until - AWAIT_MS, again=True)
        left = telling.tell(named(batch, c.order))
        if left or (not c.lines and not telling.found_any):
            order.waiting = [*order.waiting, (until, structs.replace(c, lines=left))]
    reschedule(state, r.order_ref)
    left = list(order.waiting)
    batch.entries.append(WaitingServed(batch.next_seq(), batch.now, "", "", r.order_ref, left))
    found = find_record(batch, identity_of(r.id))
    assert found is not None, "it was just made"
    return structs.replace(result, seq=found.seq, reservation=deepcopy(found))


def _refuse(batch: Batch, c: TellOrder) -> Result | None:
    if c.position and c.position <= batch.state.cursors.get(c.stream, 0):
        return Result(Outcome.SETTLED, batch.state.seq)
    for line in c.lines:
        if line.location and batch.location(line.location) is None:
            return Result(Outcome.UNKNOWN_LOCATION, batch.state.seq, detail=line.location)
    expected = expected_kind(batch, c.source, c.version_kind)
    if c.version_kind != expected:
        return Result(Outcome.VERSION_KIND_MISMATCH, batch.state.seq, detail=expected)
    return None


def _records(batch: Batch, c: TellOrder) -> list[Reservation]:
    if c.order:
        return named(batch, c.order)
    found = find_record(batch, identity_of(c.reservation))
    return [found] if found is not None and found.id == c.reservation else []


def _is_repeat(batch: Batch, c: TellOrder, records: Sequence[Reservation]) -> bool:
    """Whether the event was told before, as far as anything of it is remembered."""
    order = batch.state.orders.get(c.name)
    if order is not None and c.event in order.events:
        return True
    buried = batch.state.tombstones.get(identity_of(c.reservation))
    changes = list(buried.changes) if buried and buried.id == c.reservation else []
    changes += [change for r in records for change in r.changes]
    return any(key == c.event for key, _ in changes)
