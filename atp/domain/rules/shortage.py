"""Shortages: a source took back supply that was already promised (DESIGN §4 "Shortage", R28).

The step that finds one names position, amount and policy, and nothing else, however many reservations there are. Who is
affected follows in pages, listed from the journal and checked here against the records as they are. A shortage is state
until the position's units cover its promises again; commitments are never dropped.
"""

from msgspec import Struct, json

from atp.domain.commands import Affect, Change
from atp.domain.entries import Released, ShortageAffected, ShortageClosed, ShortageFound, Victim
from atp.domain.ids import identity_of
from atp.domain.outcomes import Outcome
from atp.domain.projection import lowest
from atp.domain.records import REVOKED, Reservation
from atp.domain.results import Result
from atp.domain.rules.allocations import move
from atp.domain.rules.batch import Batch
from atp.domain.rules.clock import find_record
from atp.domain.rules.lifecycle import changed
from atp.domain.rules.limits import count_held, count_sold
from atp.domain.state import Shortage


class _Item(Struct):
    on_shortage: str = "report"
    victims: str = "newest"


def unpromised(batch: Batch, sku: str, location: str) -> int:
    """Supply not promised, on the worst day; safety stock limits sales and never makes a shortage (R10, R38)."""
    balance, item = batch.balance(sku, location), batch.state.skus.get(sku)
    position = item.positions.get(location) if item else None
    return lowest(balance.free, position.supply if position else {}, "", batch.now) + balance.safety_stock


def report(batch: Batch, sku: str, location: str, cause: str, before: int) -> None:
    """Open a shortage if the units left are fewer than ``before`` and fewer than what is promised."""
    after = unpromised(batch, sku, location)
    if after < min(0, before):
        _open(batch, sku, location, cause, -after)


def recheck(batch: Batch, sku: str, location: str, cause: str) -> None:
    """Open a shortage if another number counts here now and promises are not covered, or fewer than was told."""
    open = batch.state.shortages.get((sku, location))
    short_by = -unpromised(batch, sku, location)
    if short_by > (open.short_by if open else 0):
        _open(batch, sku, location, cause, short_by)


def _open(batch: Batch, sku: str, location: str, cause: str, short_by: int) -> None:
    policy = batch.sku(sku).policy
    item = json.decode(policy, type=_Item) if policy else _Item()
    seq = batch.next_seq()
    batch.state.shortages[sku, location] = Shortage(seq, short_by, item.on_shortage, item.victims)
    batch.entries.append(
        ShortageFound(seq, batch.now, "", cause, sku, location, short_by, item.on_shortage, item.victims)
    )


def affect(batch: Batch, c: Affect) -> Result:
    """One page of reservations, in the order of the policy, that may not get their units.

    Pages follow one another: ``after`` must be where the last one ended. When holds are revoked, a victim gives back
    all its held units at the position, until the shortage is covered; what is committed there is only named.
    """
    state = batch.state
    open = state.shortages.get((c.sku, c.location))
    if open is None or open.seq != c.shortage or unpromised(batch, c.sku, c.location) >= 0:
        return Result(Outcome.NOT_ACTIVE, state.seq, detail="closed")
    if open.done or open.cursor != c.after:
        return Result(Outcome.REPLAYED, state.seq, detail="done" if open.done else str(open.cursor), replayed=True)
    if batch.due_left:
        return Result(Outcome.AGAIN, state.seq)
    revoke, victims = open.policy == "revoke_holds", []
    for id in c.ids:
        if _covered(batch, c, open):
            break
        found = find_record(batch, identity_of(id))
        if found is None or found.id != id:
            continue
        held, committed = _units_at(found, c.sku, c.location)
        if not held + committed:
            continue
        if revoke and held:
            _revoke(batch, c, found, open)
        open.found += held + committed
        victims.append(Victim(id, held, committed, held if revoke else 0))
    open.cursor, open.done = c.through, c.last or _covered(batch, c, open)
    seq, short_by = batch.next_seq(), max(0, -unpromised(batch, c.sku, c.location))
    batch.entries.append(
        ShortageAffected(
            seq, batch.now, "", c.cause, c.sku, c.location, open.seq, victims, short_by, open.done, c.through
        )
    )  # fmt: skip
    return Result(Outcome.APPLIED, seq, detail="done" if open.done else "")


def close(batch: Batch) -> None:
    """At the end of a batch: shortages whose promises are covered again are over."""
    shortages = batch.state.shortages
    for sku, location in sorted(shortages, key=lambda place: "\0".join(place).encode()):
        if unpromised(batch, sku, location) >= 0:
            seq = shortages.pop((sku, location)).seq
            batch.entries.append(ShortageClosed(batch.next_seq(), batch.now, "", "", sku, location, seq))


def _covered(batch: Batch, c: Affect, open: Shortage) -> bool:
    short = -unpromised(batch, c.sku, c.location)
    return short <= (0 if open.policy == "revoke_holds" else open.found)


def _units_at(reservation: Reservation, sku: str, location: str) -> tuple[int, int]:
    here = [a for line in reservation.lines if line.sku == sku for a in line.allocations if a.location == location]
    return sum(a.held for a in here), sum(a.committed for a in here)


def _revoke(batch: Batch, c: Affect, found: Reservation, open: Shortage) -> None:
    for line in found.lines:
        for a in line.allocations:
            if line.sku == c.sku and a.location == c.location:
                move(batch, line, a, held=-a.held)
                count_held(batch, found, c.sku, -a.held)
                count_sold(batch, found, c.sku, -a.held)
                a.released += a.held
                a.held = 0
    changed(batch, found, Change(REVOKED, open.seq))
    copy, balances = batch.after(found)
    batch.entries.append(Released(found.seq, batch.now, found.client, c.cause, copy, balances, "shortage"))
