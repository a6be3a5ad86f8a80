"""What happens to a reservation after it was made: confirm, release, extend, and the deadline.

Every change is applied once per key (R4); whole forms are idempotent by state as well, with any key.
"""

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Literal

from atp.domain.commands import Change, Confirm, Extend, Release
from atp.domain.entries import Committed, Expired, Extended, Released
from atp.domain.ids import identity_of
from atp.domain.outcomes import Outcome
from atp.domain.records import GRACE_MS, MAX_HOLD_MS, Allocation, Line, Reservation
from atp.domain.results import Result
from atp.domain.rules.batch import Batch

#: Changes a record remembers (R4).
CHANGES_MAX = 32


def settle(batch: Batch, settle_max: int) -> None:
    """Expire due holds, oldest first and bounded; what remains is never the ground of a refusal (R21)."""
    due = sorted((deadline, id) for id, deadline in batch.state.due.items() if deadline <= batch.now)
    batch.due_left = len(due) > settle_max
    for _, id in due[:settle_max]:
        reservation = batch.state.reservations[identity_of(id)]
        for line in reservation.lines:
            for a in line.allocations:
                batch.sku(line.sku).positions[a.location].held -= a.held
                a.expired += a.held
                a.held = 0
        del batch.state.due[id]
        reservation.seq = batch.next_seq()
        batch.entries.append(Expired(reservation.seq, batch.now, reservation.client, "", *batch.after(reservation)))


def confirm(batch: Batch, c: Confirm) -> Result:
    """Held units become committed: of the named lines, or all of them."""
    found = _find(batch, c.id, c.change)
    if isinstance(found, Result):
        return found
    if not c.lines and not _total(found, _held):
        if _total(found, lambda a: a.committed + a.fulfilled):
            return Result(Outcome.REPLAYED, found.seq, deepcopy(found), replayed=True)
        return _ended(batch, found)
    wanted = _wanted(batch, found, c.lines, _held)
    if isinstance(wanted, Result):
        return wanted
    for line, quantity in wanted:
        for a in line.allocations:
            units = min(quantity, a.held)
            quantity -= units
            a.held -= units
            a.committed += units
            position = batch.sku(line.sku).positions[a.location]
            position.held -= units
            position.committed += units
    found.order_ref = c.order_ref or found.order_ref
    _changed(batch, found, c.change)
    copy, balances = batch.after(found)
    batch.entries.append(Committed(found.seq, batch.now, c.client, c.cause, copy, balances))
    return Result(Outcome.APPLIED, found.seq, copy)


def release(batch: Batch, c: Release) -> Result:
    """Units go back to free: held ones, committed ones, or both (R37)."""
    found = _find(batch, c.id, c.change)
    if isinstance(found, Result):
        return found
    of = c.of or ("held" if _total(found, _held) else "committed")
    units_of = {"held": _held, "committed": _committed, "all": lambda a: a.held + a.committed}[of]
    if not c.lines and not _total(found, units_of):
        if found.state == "released":
            return Result(Outcome.REPLAYED, found.seq, deepcopy(found), replayed=True)
        return _ended(batch, found)
    wanted = _wanted(batch, found, c.lines, units_of)
    if isinstance(wanted, Result):
        return wanted
    for line, quantity in wanted:
        if of != "committed":  # of both, what nobody paid for goes first
            quantity = _give_back(batch, line, quantity, "held")
        if of != "held":
            _give_back(batch, line, quantity, "committed")
    _changed(batch, found, c.change)
    copy, balances = batch.after(found)
    batch.entries.append(Released(found.seq, batch.now, c.client, c.cause, copy, balances, c.reason))
    return Result(Outcome.APPLIED, found.seq, copy)


def extend(batch: Batch, c: Extend) -> Result:
    """A later deadline; never nearer, and not past the longest hold counted from the first moment (R37)."""
    found = _find(batch, c.id, c.change)
    if isinstance(found, Result):
        return found
    if not _total(found, _held):
        return _ended(batch, found)
    expires_at = max(found.expires_at, batch.now + c.ttl_ms)
    if expires_at > found.created_at + MAX_HOLD_MS:
        return Result(Outcome.LIMIT_EXCEEDED, found.seq, deepcopy(found))
    found.expires_at = expires_at
    _changed(batch, found, c.change)
    copy, _ = batch.after(found)
    batch.entries.append(Extended(found.seq, batch.now, c.client, c.cause, copy))
    return Result(Outcome.APPLIED, found.seq, copy)


def _give_back(batch: Batch, line: Line, quantity: int, state: Literal["held", "committed"]) -> int:
    """Release units of one state over the line's locations; returns what is left to release."""
    for a in line.allocations:
        units = min(quantity, getattr(a, state))
        quantity -= units
        setattr(a, state, getattr(a, state) - units)
        a.acknowledged = min(a.acknowledged, a.committed)
        a.released += units
        position = batch.sku(line.sku).positions[a.location]
        setattr(position, state, getattr(position, state) - units)
    return quantity


def _held(a: Allocation) -> int:
    return a.held


def _committed(a: Allocation) -> int:
    return a.committed


def _total(reservation: Reservation, units: Callable[[Allocation], int]) -> int:
    return sum(units(a) for line in reservation.lines for a in line.allocations)


def _find(batch: Batch, id: str, change: Change) -> Reservation | Result:
    """The record to change, or the answer: unknown, repeated, reused key, or due and not yet settled."""
    found = batch.state.reservations.get(identity_of(id))
    if found is None or found.id != id:
        return Result(Outcome.NOT_FOUND, batch.state.seq)
    for key, body in found.changes:
        if key == change.key:
            if body != change.body:
                return Result(Outcome.KEY_REUSED, batch.state.seq)
            return Result(Outcome.REPLAYED, found.seq, deepcopy(found), replayed=True)
    if batch.state.due.get(id, batch.now + 1) <= batch.now:
        return Result(Outcome.AGAIN, batch.state.seq)
    return found


def _ended(batch: Batch, reservation: Reservation) -> Result:
    """Nothing left to act on, and why."""
    outcome = Outcome.EXPIRED if reservation.state == "expired" else Outcome.NOT_ACTIVE
    return Result(outcome, reservation.seq, deepcopy(reservation))


def _wanted(
    batch: Batch, reservation: Reservation, lines: Sequence[tuple[str, int]], units: Callable[[Allocation], int]
) -> list[tuple[Line, int]] | Result:
    """(line, quantity) pairs to act on; no lines means everything. The same line twice is summed."""
    if not lines:
        return [(line, sum(map(units, line.allocations))) for line in reservation.lines]
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


def _changed(batch: Batch, reservation: Reservation, change: Change) -> None:
    """Remember the change, give it a seq, and keep the deadline index true."""
    reservation.seq = batch.next_seq()
    reservation.changes = [*reservation.changes, (change.key, change.body)][-CHANGES_MAX:]
    if _total(reservation, _held):
        batch.state.due[reservation.id] = reservation.expires_at + GRACE_MS
    else:
        batch.state.due.pop(reservation.id, None)
