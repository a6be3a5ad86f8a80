"""Reserve: hold units of every line, or of none, or of what there is (DESIGN §4 "Reserve")."""

from copy import deepcopy

from atp.domain.commands import Recall, Reserve
from atp.domain.entries import Held, Released
from atp.domain.ids import identity_of
from atp.domain.outcomes import Outcome
from atp.domain.records import GRACE_MS, Allocation, Line, Reservation
from atp.domain.results import Result
from atp.domain.rules.allocations import move
from atp.domain.rules.batch import Batch
from atp.domain.rules.clock import find_record, is_due
from atp.domain.rules.contended import contended
from atp.domain.rules.exceptions import is_lost
from atp.domain.rules.lifecycle import end_held
from atp.domain.rules.limits import (
    count_held,
    count_sold,
    hold_ttl,
    refuse_seller,
    refuse_ttl,
    refuse_units,
    use_ticket,
)
from atp.domain.rules.naming import name
from atp.domain.rules.remembering import remembered, rotate
from atp.domain.rules.sourcing import Draws, Sourcing
from atp.domain.state import Refusal


def reserve(batch: Batch, c: Reserve) -> Result:
    """Decide a basket as one atomic reading; the same id again finds its first decision."""
    state = batch.state
    if not c.dry_run and (decided := decided_before(batch, c)):
        return decided
    if is_lost(batch):
        return Result(Outcome.RECOVERING, state.seq)
    old = replaced(batch, c)
    if isinstance(old, Result):
        return old
    if refusal := refuse_seller(batch, c):
        return refusal
    ttl = hold_ttl(c, batch.channel(c.channel), batch.campaign(c.campaign) if c.campaign else None)
    if refusal := refuse_ttl(batch, c, ttl, old) or refuse_units(batch, c, old):
        return refusal
    sourcing = Sourcing(batch, c.channel, c.campaign)
    if old:
        sourcing.give_back(old)
    shortfalls = sourcing.shortfalls(c.lines, split=c.allow_split)
    if shortfalls and batch.due_left:
        return Result(Outcome.AGAIN, state.seq)
    drawn = [] if shortfalls and not c.allow_partial else sourcing.draw(c.lines, split=c.allow_split)
    if not any(drawn):
        if contended(batch, sourcing, c):
            return Result(Outcome.CONTENDED, state.seq, None, shortfalls)
        if not c.dry_run:
            state.refused[identity_of(c.id)] = Refusal(c.fingerprint, Outcome.INSUFFICIENT, shortfalls, "")
        return Result(Outcome.INSUFFICIENT, state.seq, None, shortfalls)
    if c.dry_run:
        return Result(Outcome.QUOTED, state.seq, record_of(batch, c, drawn, ttl, old, state.seq))
    if old:
        release_replaced(batch, old, c)
    return _hold(batch, c, drawn, ttl, old)


def recall(batch: Batch, c: Recall) -> Result:
    """The repeat of a reserve, told apart from a new one without a look at the stock (R7)."""
    return decided_before(batch, c) or Result(Outcome.NOT_FOUND, batch.state.seq)


def decided_before(batch: Batch, c: Reserve | Recall) -> Result | None:
    """The first decision on this id, if there was one: a reservation, or a remembered refusal (R18)."""
    state, identity = batch.state, identity_of(c.id)
    rotate(batch)
    if (known := find_record(batch, identity)) is not None:
        if known.fingerprint != c.fingerprint or known.id != c.id:
            return Result(Outcome.KEY_REUSED, state.seq)
        return Result(Outcome.REPLAYED, known.seq, deepcopy(known), replayed=True)
    if (buried := state.tombstones.get(identity)) is not None:
        if buried.fingerprint != c.fingerprint or buried.id != c.id:
            return Result(Outcome.KEY_REUSED, state.seq)
        return Result(Outcome.REPLAYED, buried.seq, replayed=True)
    if (refusal := remembered(batch, identity)) is not None:
        if refusal.fingerprint != c.fingerprint:
            return Result(Outcome.KEY_REUSED, state.seq)
        return Result(refusal.outcome, state.seq, None, refusal.shortfalls, refusal.detail, replayed=True)
    return None


def replaced(batch: Batch, c: Reserve) -> Reservation | Result | None:
    """The hold to release in the same step, nothing if it has ended, or why the request is refused (R37)."""
    state = batch.state
    old = find_record(batch, identity_of(c.replaces)) if c.replaces else None
    if old is not None and (old.id != c.replaces):
        old = None
    if old is not None and (old.client, old.customer) != (c.client, c.customer):
        return Result(Outcome.NOT_FOUND, state.seq, detail="replaces")
    for index, line in enumerate(c.lines):
        if line.location and batch.location(line.location) is None:
            return Result(Outcome.UNKNOWN_LOCATION, state.seq, detail=str(index))
        if line.location_group and not batch.is_group(line.location_group):
            return Result(Outcome.UNKNOWN_LOCATION, state.seq, detail=str(index))
    if old is None:
        return None
    if any(a.committed + a.fulfilled for line in old.lines for a in line.allocations):
        return Result(Outcome.NOT_ACTIVE, state.seq, detail="replaces")
    if is_due(batch, old):
        return Result(Outcome.AGAIN, state.seq)
    return old if old.id in state.due else None


def release_replaced(batch: Batch, old: Reservation, c: Reserve) -> None:
    end_held(batch, old, "released")
    del batch.state.due[old.id]
    old.seq = batch.next_seq()
    copy, balances = batch.after(old)
    batch.entries.append(Released(old.seq, batch.now, c.client, c.cause, copy, balances, "replaced"))


def _hold(batch: Batch, c: Reserve, drawn: list[Draws], ttl: int, old: Reservation | None) -> Result:
    seq = batch.next_seq()
    reservation = record_of(batch, c, drawn, ttl, old, seq)
    for line in reservation.lines:
        for a in line.allocations:
            move(batch, line, a, held=a.held)
            count_held(batch, reservation, line.sku, a.held)
            count_sold(batch, reservation, line.sku, a.held)
    batch.state.reservations[identity_of(c.id)] = reservation
    name(batch.state, reservation)
    use_ticket(batch.state, c.campaign, c.ticket)
    batch.state.due[c.id] = reservation.expires_at + GRACE_MS
    copy, balances = batch.after(reservation)
    batch.entries.append(Held(seq, batch.now, c.client, c.cause, copy, balances, c.ticket))
    return Result(Outcome.APPLIED, seq, copy)


def record_of(batch: Batch, c: Reserve, drawn: list[Draws], ttl: int, old: Reservation | None, seq: int) -> Reservation:
    lines = [
        Line(
            line.line_id, line.sku, line.quantity,
            [Allocation(at, supply, units, 0) for at, units, supply in draws], line.needed_by,
        )
        for line, draws in zip(c.lines, drawn, strict=True)
    ]  # fmt: skip
    return Reservation(
        c.id, batch.now, batch.now + ttl, seq, seq, c.fingerprint, c.client, c.channel, c.customer,
        c.order_ref, c.campaign, c.metadata, lines, [],
        old.since if old else batch.now,
    )  # fmt: skip
