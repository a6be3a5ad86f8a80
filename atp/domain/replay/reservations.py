"""Replay of reservations: the record as it is, and what it changes beside itself.

An allocation that hangs on supply or that a source counts is rare, so is a customer or a seller with a share: most
records cost one walk through their lines.
"""

from collections.abc import Sequence

from atp.domain.entries import (
    Acknowledged,
    Committed,
    DeadlinesMoved,
    Expired,
    Extended,
    Fulfilled,
    Held,
    Released,
    Transferred,
)
from atp.domain.ids import identity_of
from atp.domain.records import GRACE_MS, Line, Reservation
from atp.domain.replay.balances import count, hang, sku_of, take, take_shipped
from atp.domain.replay.legs import dissolve
from atp.domain.rules.limits import use_ticket
from atp.domain.rules.naming import name, unname
from atp.domain.state import State

#: Units of one sku by what counters take them for: held, and sold (held, committed and fulfilled).
Units = tuple[int, int]


def _held(state: State, entry: Held) -> None:
    if state.baskets:
        dissolve(state, entry.reservation)
    _keep(state, entry.seq, entry.at, entry.reservation)
    name(state, entry.reservation)
    use_ticket(state, entry.reservation.campaign, entry.ticket)
    take(state, entry.seq, entry.balances)


def _committed(state: State, entry: Committed) -> None:
    _keep(state, entry.seq, entry.at, entry.reservation)
    name(state, entry.reservation)
    take(state, entry.seq, entry.balances)


def _changed(state: State, entry: Released | Expired | Acknowledged | Transferred) -> None:
    _keep(state, entry.seq, entry.at, entry.reservation)
    take(state, entry.seq, entry.balances)


def _extended(state: State, entry: Extended) -> None:
    _keep(state, entry.seq, entry.at, entry.reservation)


def _fulfilled(state: State, entry: Fulfilled) -> None:
    _keep(state, entry.seq, entry.at, entry.reservation)
    take(state, entry.seq, entry.balances)
    take_shipped(state, entry.at, entry.balances)


def _moved(state: State, entry: DeadlinesMoved) -> None:
    """As in ``rules.clock``; those that no deadline speaks of any more go now, when the list is looked at anyway."""
    last, now, until = entry.after, entry.through, entry.until
    kept = [m for m in state.moved if any(m[0] < deadline <= m[1] for deadline in state.due.values())]
    state.moved = [(a, b, until if last < u <= now else u) for a, b, u in kept]
    state.moved.append((last, now, until))


def _keep(state: State, seq: int, at: int, r: Reservation) -> None:
    old = state.reservations.get(identity_of(r.id))
    if old is not None and old.first_seq != r.first_seq:
        unname(state, old.id, old.order_ref)  # it was cut down in between
        old = None
    elif old is not None and old.order_ref != r.order_ref:
        unname(state, old.id, old.order_ref)
    foreign = store(state, seq, at, r)
    counted, apart = r.customer != "", old is not None and _hangs(old)
    for line in r.lines:
        if line.sku not in foreign and state.skus[line.sku].sellers:
            counted = True
    if apart or _hangs(r):
        hang(state, old.lines if old is not None else (), r.lines, foreign)
    if counted:
        _count(state, old, r, foreign)


def store(state: State, seq: int, at: int, r: Reservation) -> Sequence[str]:
    """Keep the record, its deadline, its place among those that ended; returns its skus of other partitions (R3)."""
    identity = identity_of(r.id)
    basket = state.baskets.get(identity) if state.baskets else None
    foreign = basket.foreign if basket is not None else ()
    held = live = 0
    for line in r.lines:
        if line.sku not in foreign:
            sku_of(state, line.sku).seq = seq
        for a in line.allocations:
            held += a.held
            live += a.held + a.committed
    state.reservations[identity] = r
    if held:
        state.due[r.id] = r.expires_at + GRACE_MS
    else:
        state.due.pop(r.id, None)
    if not live:
        state.ended.append((seq, at, identity))
    if basket is not None and not basket.deadline:
        state.following[r.id] = seq
    if state.tombstones:
        state.tombstones.pop(identity, None)
    return foreign


def _hangs(r: Reservation) -> bool:
    """Whether units hang on more than their position."""
    for line in r.lines:
        for a in line.allocations:
            if a.supply or a.tallies:
                return True
    return False


def _count(state: State, old: Reservation | None, r: Reservation, foreign: Sequence[str]) -> None:
    """Of a record that came back from the journal, what was fulfilled before is counted already."""
    after = _units(r.lines)
    before = _units(old.lines) if old is not None else _fulfilled_units(r.lines)
    for sku, (held, sold) in after.items():
        if sku not in foreign:
            held_before, sold_before = before[sku]
            count(state, r, sku, held - held_before, sold - sold_before)


def _units(lines: Sequence[Line]) -> dict[str, Units]:
    found: dict[str, Units] = {}
    for line in lines:
        held, sold = found.get(line.sku, (0, 0))
        for a in line.allocations:
            held += a.held
            sold += a.held + a.committed + a.fulfilled
        found[line.sku] = held, sold
    return found


def _fulfilled_units(lines: Sequence[Line]) -> dict[str, Units]:
    found: dict[str, Units] = {}
    for line in lines:
        found[line.sku] = 0, found.get(line.sku, (0, 0))[1] + sum(a.fulfilled for a in line.allocations)
    return found


EFFECTS = {
    Held: _held,
    Committed: _committed,
    Released: _changed,
    Extended: _extended,
    Expired: _changed,
    Fulfilled: _fulfilled,
    Acknowledged: _changed,
    Transferred: _changed,
    DeadlinesMoved: _moved,
}
