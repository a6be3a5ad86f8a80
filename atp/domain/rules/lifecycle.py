"""What happens to a reservation after it was made: confirm, release, extend, and the deadline.

Every change is applied once per key (R4); whole forms are idempotent by state as well, with any key.
"""

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Literal

from atp.domain.commands import Change, Confirm, Extend, Release, ReserveLine
from atp.domain.entries import Committed, Expired, Extended, Released
from atp.domain.ids import identity_of
from atp.domain.outcomes import Outcome
from atp.domain.records import Allocation, Line, Reservation, Shortfall
from atp.domain.results import Result
from atp.domain.rules.allocations import move
from atp.domain.rules.batch import Batch
from atp.domain.rules.clock import deadline_of, find_record, is_due
from atp.domain.rules.contended import give_back_tentative
from atp.domain.rules.exceptions import is_lost
from atp.domain.rules.limits import count_held, count_sold, counts_to_campaign, refuse_expired
from atp.domain.rules.moves import Moves
from atp.domain.rules.naming import name, unname
from atp.domain.rules.retention import answer_change, why_ended
from atp.domain.rules.sourcing import Draws, Sourcing

#: Changes a record remembers (R4).
CHANGES_MAX = 32


def settle(batch: Batch, settle_max: int) -> None:
    """Expire due holds, oldest first and bounded; what remains is never the ground of a refusal (R21)."""
    if batch.apart:
        return
    kept = ((deadline, id) for id, deadline in batch.state.due.items() if deadline <= batch.now)
    due = sorted((deadline, id) for deadline, id in kept if deadline_of(batch, deadline) <= batch.now)
    batch.due_left = len(due) > settle_max
    for _, id in due[:settle_max]:
        reservation = find_record(batch, identity_of(id))
        assert reservation is not None
        end_held(batch, reservation, "expired")
        del batch.state.due[id]
        reservation.seq = batch.next_seq()
        batch.entries.append(Expired(reservation.seq, batch.now, reservation.client, "", *batch.after(reservation)))


def end_held(batch: Batch, reservation: Reservation, state: Literal["expired", "released"]) -> None:
    """Free all held units; they count as ``state`` from now on."""
    for line in reservation.lines:
        for a in line.allocations:
            move(batch, line, a, held=-a.held)
            count_held(batch, reservation, line.sku, -a.held)
            count_sold(batch, reservation, line.sku, -a.held)
            setattr(a, state, getattr(a, state) + a.held)
            a.held = 0


def confirm(batch: Batch, c: Confirm) -> Result:
    """Held units become committed: of the named lines, or all of them."""
    found = find_to_change(batch, c.id, c.change, "fulfilled")
    if isinstance(found, Result):
        return _confirm_again(batch, c, found)
    # What expired in other partitions cannot be taken again in one step: such a confirm is refused as expired.
    if c.reacquire and total(found, lambda a: a.expired) and not any(x.sku in batch.foreign for x in found.lines):
        return _reacquire(batch, found, c)
    if not c.lines and not total(found, held_units):
        if total(found, lambda a: a.expired):  # also of a part: a confirm of all of it never took place
            return Result(Outcome.EXPIRED, found.seq, deepcopy(found))
        if total(found, lambda a: a.committed + a.fulfilled):
            return Result(Outcome.REPLAYED, found.seq, deepcopy(found), replayed=True)
        return ended(batch, found)
    wanted = wanted_lines(batch, found, c.lines, held_units)
    if isinstance(wanted, Result):
        return wanted
    _commit_held(batch, found, wanted, c.cause)
    return _committed(batch, found, c)


def _commit_held(batch: Batch, reservation: Reservation, wanted: list[tuple[Line, int]], cause: str) -> None:
    moves = Moves(batch, cause)
    for line, quantity in wanted:
        for a in line.allocations:
            units = min(quantity, a.held)
            quantity -= units
            a.held -= units
            moves.commit(line.sku, a, units)
            move(batch, line, a, held=-units, committed=units)
            count_held(batch, reservation, line.sku, -units)
    moves.settle()


def _committed(batch: Batch, found: Reservation, c: Confirm) -> Result:
    if c.order_ref and c.order_ref != found.order_ref:
        unname(batch.state, found.id, found.order_ref)
        found.order_ref = c.order_ref
    name(batch.state, found)
    changed(batch, found, c.change)
    copy, balances = batch.after(found)
    batch.entries.append(Committed(found.seq, batch.now, c.client, c.cause, copy, balances))
    return Result(Outcome.APPLIED, found.seq, copy)


def _confirm_again(batch: Batch, c: Confirm, answer: Result) -> Result:
    """What a tombstone, or nothing, answers; or the record that the journal kept is brought back, if it is the last."""
    state, identity = batch.state, identity_of(c.id)
    if not c.reacquire or not c.record or c.record[0].id != c.id:
        return answer
    record, buried = deepcopy(c.record[0]), state.tombstones.get(identity)
    last = buried.seq == record.seq if buried else identity not in state.reservations
    if answer.outcome not in (Outcome.EXPIRED, Outcome.NOT_FOUND) or not last:
        return answer
    if total(record, lambda a: a.held + a.committed) or not total(record, lambda a: a.expired):
        return answer
    for key, body in record.changes:
        if key == c.change.key:
            if body != c.change.body:
                return Result(Outcome.KEY_REUSED, state.seq)
            return Result(Outcome.REPLAYED, record.seq, record, replayed=True)
    result = _reacquire(batch, record, c)
    if result.outcome is Outcome.APPLIED:
        state.reservations[identity] = record
        state.tombstones.pop(identity, None)
    return result


def _reacquire(batch: Batch, found: Reservation, c: Confirm) -> Result:
    """Take all expired units again, at their own location first, and commit them with what is held; or refuse (R17)."""
    if is_lost(batch):
        return Result(Outcome.RECOVERING, found.seq)
    campaign = batch.campaign(found.campaign) if counts_to_campaign(batch.state, found, found.campaign) else None
    if campaign and (refusal := refuse_expired(batch, found, campaign)):
        return refusal
    # After its campaign, though another one may have its name, a late payment is served from the channel's own share.
    sourcing = Sourcing(batch, found.channel, found.campaign if campaign else "")
    drawn, shortfalls = _draw_expired(sourcing, found)
    if shortfalls:
        if batch.due_left:
            return Result(Outcome.AGAIN, batch.state.seq)
        tentative = give_back_tentative(batch, sourcing) and not _draw_expired(sourcing, found)[1]
        outcome = Outcome.CONTENDED if tentative else Outcome.INSUFFICIENT
        return Result(outcome, found.seq, deepcopy(found), shortfalls)
    _commit_held(batch, found, wanted_all(found, held_units), c.cause)
    moves = Moves(batch, c.cause)
    for line, a, draws in drawn:
        for at, units, supply in draws:
            a.expired -= units
            taken = allocation_at(line, at, supply)
            moves.commit(line.sku, taken, units)
            move(batch, line, taken, committed=units)
            count_sold(batch, found, line.sku, units)
    moves.settle()
    return _committed(batch, found, c)


def _draw_expired(
    sourcing: Sourcing, found: Reservation
) -> tuple[list[tuple[Line, Allocation, Draws]], list[Shortfall]]:
    """Where expired units could be taken again, and what is short."""
    drawn: list[tuple[Line, Allocation, Draws]] = []
    shortfalls: list[Shortfall] = []
    for index, line in enumerate(found.lines):
        needed = available = 0
        for a in [a for a in line.allocations if a.expired]:
            asked = ReserveLine(line.line_id, line.sku, a.expired, needed_by=line.needed_by)
            allowed = sourcing.batch.sells_at(found.channel, a.location)  # not any more, perhaps
            units = min(a.expired, sourcing.free(line.sku, a.location, line.needed_by)) if allowed else 0
            draws = sourcing.take(line.sku, a.location, units, line.needed_by)
            draws += sourcing.fill(asked, a.expired - units)
            drawn.append((line, a, draws))
            needed += a.expired
            available += sum(q for _, q, _ in draws)
        if available < needed:
            asked = ReserveLine(line.line_id, line.sku, needed, needed_by=line.needed_by)
            shortfalls.append(sourcing.shortfall(index, asked, available))
    return drawn, shortfalls


def release(batch: Batch, c: Release) -> Result:
    """Units go back to free: held ones, committed ones, or both (R37)."""
    found = find_to_change(batch, c.id, c.change, "released")
    if isinstance(found, Result):
        return found
    of = c.of or ("held" if total(found, held_units) else "committed")
    units_of = {"held": held_units, "committed": committed_units, "all": lambda a: a.held + a.committed}[of]
    if not c.lines and not total(found, units_of):
        if found.state == "released":
            return Result(Outcome.REPLAYED, found.seq, deepcopy(found), replayed=True)
        return ended(batch, found)
    wanted = wanted_lines(batch, found, c.lines, units_of)
    if isinstance(wanted, Result):
        return wanted
    moves = Moves(batch, c.cause)
    for line, quantity in wanted:
        if of != "committed":  # of both, what nobody paid for goes first
            quantity = _give_back(batch, found, line, quantity, "held", moves)
        if of != "held":
            _give_back(batch, found, line, quantity, "committed", moves)
    moves.settle()
    changed(batch, found, c.change)
    copy, balances = batch.after(found)
    batch.entries.append(Released(found.seq, batch.now, c.client, c.cause, copy, balances, c.reason))
    return Result(Outcome.APPLIED, found.seq, copy)


def extend(batch: Batch, c: Extend) -> Result:
    """A later deadline; never nearer, and not past the longest hold counted from the first moment (R37)."""
    found = find_to_change(batch, c.id, c.change)
    if isinstance(found, Result):
        return found
    if not total(found, held_units):
        return ended(batch, found)
    expires_at = max(found.expires_at, batch.now + c.ttl_ms)
    if expires_at > found.since + batch.channel(found.channel).max_hold_seconds * 1000:
        return Result(Outcome.LIMIT_EXCEEDED, found.seq, deepcopy(found), detail="ttl")
    found.expires_at = expires_at
    changed(batch, found, c.change)
    copy, _ = batch.after(found)
    batch.entries.append(Extended(found.seq, batch.now, c.client, c.cause, copy))
    return Result(Outcome.APPLIED, found.seq, copy)


def _give_back(
    batch: Batch,
    reservation: Reservation,
    line: Line,
    quantity: int,
    state: Literal["held", "committed"],
    moves: Moves,
) -> int:
    """Release units of one state over the line's locations; returns what is left to release."""
    for a in line.allocations:
        units = min(quantity, getattr(a, state))
        quantity -= units
        if state == "committed" and units:
            moves.watch(line.sku, a)
            a.gone += units
        setattr(a, state, getattr(a, state) - units)
        a.released += units
        move(batch, line, a, **{state: -units})
        count_held(batch, reservation, line.sku, -units if state == "held" else 0)
        count_sold(batch, reservation, line.sku, -units)
    return quantity


def allocation_at(line: Line, location: str, supply: str = "") -> Allocation:
    """The line's allocation at a location, of stock on hand or of the supply of a day; added if there is none."""
    for a in line.allocations:
        if a.location == location and a.supply == supply:
            return a
    line.allocations.append(Allocation(location, supply, 0, 0))
    return line.allocations[-1]


def held_units(a: Allocation) -> int:
    return a.held


def committed_units(a: Allocation) -> int:
    return a.committed


def total(reservation: Reservation, units: Callable[[Allocation], int]) -> int:
    return sum(units(a) for line in reservation.lines for a in line.allocations)


def find_to_change(batch: Batch, id: str, change: Change, *repeats: str) -> Reservation | Result:
    """The record to change, or the answer: unknown, repeated, reused key, ended long ago, or due and not yet settled.

    ``repeats`` are the ended states in which the whole change has nothing left to do.
    """
    identity = identity_of(id)
    buried = batch.state.tombstones.get(identity)
    if buried is not None and buried.id == id:
        return answer_change(buried, change.key, change.body, repeats)
    found = find_record(batch, identity)
    if found is None or found.id != id:
        return Result(Outcome.NOT_FOUND, batch.state.seq)
    for key, body in found.changes:
        if key == change.key:
            if body != change.body:
                return Result(Outcome.KEY_REUSED, batch.state.seq)
            return Result(Outcome.REPLAYED, found.seq, deepcopy(found), replayed=True)
    if is_due(batch, found):
        return Result(Outcome.AGAIN, batch.state.seq)
    return found


def ended(batch: Batch, reservation: Reservation) -> Result:
    """Nothing left to act on, and why."""
    if reservation.state == "expired":
        return Result(Outcome.EXPIRED, reservation.seq, deepcopy(reservation))
    return Result(Outcome.NOT_ACTIVE, reservation.seq, deepcopy(reservation), detail=why_ended(reservation.changes))


def wanted_all(reservation: Reservation, units: Callable[[Allocation], int]) -> list[tuple[Line, int]]:
    """Everything of every line."""
    return [(line, sum(map(units, line.allocations))) for line in reservation.lines]


def wanted_lines(
    batch: Batch, reservation: Reservation, lines: Sequence[tuple[str, int]], units: Callable[[Allocation], int]
) -> list[tuple[Line, int]] | Result:
    """(line, quantity) pairs to act on; no lines means everything. The same line twice is summed."""
    if not lines:
        return wanted_all(reservation, units)
    by_id = {line.line_id: line for line in reservation.lines}
    quantities: dict[str, int] = {}
    for line_id, quantity in lines:
        if line_id not in by_id:
            return Result(Outcome.UNKNOWN_LINE, reservation.seq, deepcopy(reservation), detail=line_id)
        quantities[line_id] = quantities.get(line_id, 0) + quantity
    for line_id, quantity in quantities.items():
        line = by_id[line_id]
        if sum(map(units, line.allocations)) < quantity:
            expired = any(a.expired for a in line.allocations)
            outcome = Outcome.EXPIRED if expired else Outcome.NOT_ACTIVE
            return Result(outcome, reservation.seq, deepcopy(reservation), detail=line_id)
    return [(by_id[line_id], quantity) for line_id, quantity in quantities.items()]


def changed(batch: Batch, reservation: Reservation, change: Change) -> None:
    """Keep a reservation that a call changed, and remember the call."""
    batch.keep(reservation)
    remember(reservation, change.key, change.body)


def remember(reservation: Reservation, key: int, body: int) -> None:
    """Keep the digests of a change, or of a shipment, among the last ones."""
    reservation.changes = [*reservation.changes, (key, body)][-CHANGES_MAX:]
