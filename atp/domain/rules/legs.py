"""Baskets that span partitions: opened, taken leg by leg, decided at home, followed by the legs (R3, ADR 4).

Home is the partition of the basket's first sku. A leg counts from the moment it is taken until home's word is applied
to it, whatever the time: it is never sold on the strength of a clock. Home knows an attempt before any leg is taken,
so an attempt that home does not know, and that is not a reservation there, can never become one.
"""

from copy import deepcopy

from atp.domain.commands import Abort, Decide, DropLeg, Followed, FollowHome, OpenBasket, Reserve, TakeLeg
from atp.domain.entries import BasketAborted, BasketFollowed, BasketOpened, Held, LegDropped, LegFollowed, LegTaken
from atp.domain.ids import identity_of
from atp.domain.outcomes import Outcome
from atp.domain.projection import peg
from atp.domain.records import GRACE_MS, Leg, Line, Reservation
from atp.domain.results import Result
from atp.domain.rules.batch import Batch
from atp.domain.rules.clock import find_record
from atp.domain.rules.contended import BY_SELLER, contended
from atp.domain.rules.exceptions import is_lost
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
from atp.domain.rules.remembering import rotate
from atp.domain.rules.reserve import decided_before, record_of, release_replaced, replaced
from atp.domain.rules.sourcing import Sourcing
from atp.domain.sellers import seller_name
from atp.domain.state import SHIPPED_BUCKET_MS, Basket, Refusal, State

#: Units held, committed, fulfilled, and shipped without being counted by (sku, location, day of the supply, needed by).
Places = dict[tuple[str, str, str, str], list[int]]

_NONE = (0, 0, 0, 0)


def open_basket(batch: Batch, c: OpenBasket) -> Result:
    """Begin an attempt, unless the identity is decided or another attempt is under way; an old one is aborted first."""
    state, r = batch.state, c.reserve
    identity = identity_of(r.id)
    if decided := decided_before(batch, r):
        return decided
    known = state.baskets.get(identity)
    if known is not None and known.deadline > batch.now:
        if known.id != r.id or known.fingerprint != r.fingerprint:
            return Result(Outcome.KEY_REUSED, state.seq)
        return Result(Outcome.APPLIED if known.call == c.call else Outcome.CONTENDED, known.attempt)
    if is_lost(batch):
        return Result(Outcome.RECOVERING, state.seq)
    old = replaced(batch, r)
    if isinstance(old, Result):
        return old
    if refusal := refuse_seller(batch, r):
        return refusal
    if refusal := refuse_ttl(batch, r, _ttl(batch, r), old) or refuse_units(batch, r, old):
        return refusal
    if known is not None:
        _abort(batch, known)
    if (leg := state.legs.get(r.id)) is not None and not leg.seq:
        _drop(batch, leg)  # one that came after its attempt's end: a decided basket has no leg at home
    seq, deadline = batch.next_seq(), batch.now + c.ttl_ms
    state.baskets[identity] = Basket(r.id, seq, c.call, r.fingerprint, deadline, c.foreign)
    state.undecided[r.id] = deadline
    batch.foreign.update(c.foreign)
    batch.entries.append(
        BasketOpened(seq, batch.now, r.client, r.cause, r.id, r.fingerprint, deadline, c.foreign, c.call)
    )
    return Result(Outcome.APPLIED, seq)


def take_leg(batch: Batch, c: TakeLeg) -> Result:
    """Hold this partition's lines, or what there is of them with ``allow_partial``; the answer's record has them."""
    state, r = batch.state, c.reserve
    leg = state.legs.get(r.id)
    if leg is not None:
        if leg.attempt == c.attempt:
            return Result(Outcome.APPLIED, state.seq, deepcopy(leg.reservation()))
        if leg.seq or leg.attempt > c.attempt:
            return Result(Outcome.NOT_ACTIVE, state.seq)  # home has gone on: this command is late
    if is_lost(batch):
        return Result(Outcome.RECOVERING, state.seq)  # each partition has its own loss: home may be well
    older = leg.reservation() if leg else None  # home began this attempt, so it had ended the older one
    if refusal := refuse_units(batch, r, older, _ends_here(batch, r)):
        return refusal
    sourcing = Sourcing(batch, r.channel, r.campaign)
    if older is not None:
        sourcing.give_back(older)
    shortfalls = sourcing.shortfalls(r.lines, split=r.allow_split)
    if shortfalls and batch.due_left:
        return Result(Outcome.AGAIN, state.seq)
    drawn = [] if shortfalls and not r.allow_partial else sourcing.draw(r.lines, split=r.allow_split)
    if not any(drawn):
        tentative = contended(batch, Sourcing(batch, r.channel, r.campaign), r)
        outcome = Outcome.CONTENDED if tentative else Outcome.INSUFFICIENT
        return Result(outcome, state.seq, None, shortfalls)
    if leg is not None:
        _drop(batch, leg)
    seq, deadline = batch.next_seq(), batch.now + c.ttl_ms
    lines = record_of(batch, r, drawn, 0, None, 0).lines
    leg = Leg(r.id, c.attempt, 0, deadline, lines, seq, r.client, r.channel, r.customer, r.campaign)
    state.legs[r.id] = leg
    state.undecided[r.id] = deadline
    contend(batch.state, leg, 1)
    _move(batch, leg.reservation(), {}, places(leg.lines))
    batch.entries.append(LegTaken(seq, batch.now, r.client, r.cause, *_after(batch, leg, [])))
    return Result(Outcome.APPLIED, state.seq, deepcopy(leg.reservation()))


def _ends_here(batch: Batch, r: Reserve) -> Reservation | None:
    """What the basket replaces has here, at home a record and elsewhere a leg: it is no ground to refuse a leg.

    Home ends it with its decision, and found it to be the client's and the customer's when it began the attempt.
    """
    if not r.replaces:
        return None
    leg, record = batch.state.legs.get(r.replaces), find_record(batch, identity_of(r.replaces))
    if record is not None and record.id != r.replaces:
        record = None
    found = record or (leg.reservation() if leg else None)
    return found if found and (found.client, found.customer) == (r.client, r.customer) else None


def decide_basket(batch: Batch, c: Decide) -> Result:
    """The basket becomes a reservation, if its attempt still stands; its own leg here is dissolved into it."""
    state, r = batch.state, c.reserve
    identity = identity_of(r.id)
    if decided := decided_before(batch, r):
        return decided
    basket = state.baskets.get(identity)
    if basket is None or basket.id != r.id or basket.attempt != c.attempt:
        return Result(Outcome.NOT_ACTIVE, state.seq, detail="attempt")
    leg = state.legs.get(r.id)
    here = [line for line in c.lines if line.sku not in batch.foreign]
    if leg is not None and (leg.attempt != c.attempt or leg.seq):
        leg = None
    if _units(here) != _units(leg.lines if leg else []):
        return Result(Outcome.NOT_ACTIVE, state.seq, detail="leg")
    old = replaced(batch, r)
    if isinstance(old, Result):
        return old
    if r.campaign and batch.campaign(r.campaign) is None:
        return Result(Outcome.UNKNOWN_CAMPAIGN, state.seq, detail=r.campaign)
    ttl = _ttl(batch, r)
    if refusal := refuse_ttl(batch, r, ttl, old):
        return refusal
    if old:
        release_replaced(batch, old, r)
    if leg is not None:
        contend(batch.state, leg, -1)
        _move(batch, leg.reservation(), places(leg.lines), {})
        del state.legs[r.id]
    seq = batch.next_seq()
    reservation = record_of(batch, r, [[] for _ in r.lines], ttl, old, seq)
    reservation.lines = deepcopy(c.lines)
    _move(batch, reservation, {}, places(reservation.lines))
    state.reservations[identity] = reservation
    name(batch.state, reservation)
    use_ticket(state, r.campaign, r.ticket)
    state.due[r.id] = reservation.expires_at + GRACE_MS
    basket.deadline = 0
    tidy(state, r.id)
    copy, balances = batch.after(reservation)
    batch.entries.append(Held(seq, batch.now, r.client, r.cause, copy, balances, r.ticket))
    return Result(Outcome.APPLIED, seq, copy)


def abort(batch: Batch, c: Abort) -> Result:
    """An undecided attempt ends; NOT_FOUND when there is none, and the record when the basket was decided."""
    state, identity = batch.state, identity_of(c.id)
    basket = state.baskets.get(identity)
    if basket is not None and basket.id == c.id and basket.attempt == c.attempt and basket.deadline:
        _abort(batch, basket)
        if c.shortfalls:
            rotate(batch)
            state.refused[identity] = Refusal(c.fingerprint, Outcome.INSUFFICIENT, c.shortfalls, "")
        return Result(Outcome.APPLIED, state.seq)
    record = find_record(batch, identity)
    if record is not None and record.id == c.id:
        return Result(Outcome.REPLAYED, record.seq, deepcopy(record), replayed=True)
    return Result(Outcome.NOT_FOUND, state.seq)


def drop_leg(batch: Batch, c: DropLeg) -> Result:
    """Free an undecided leg of an attempt that home has aborted."""
    state = batch.state
    leg = state.legs.get(c.id)
    if leg is None or leg.attempt != c.attempt or leg.seq:
        return Result(Outcome.NOT_FOUND, state.seq)
    _drop(batch, leg)
    return Result(Outcome.APPLIED, state.seq)


def follow_home(batch: Batch, c: FollowHome) -> Result:
    """Make the leg what home says, by the difference to what it is; one without live units is done and goes.

    A leg that is not here has ended, or was never taken: home's word can only have nothing for it.
    """
    state = batch.state
    leg = state.legs.get(c.id)
    if leg is None:
        return Result(Outcome.NOT_FOUND, state.seq)
    if c.seq <= leg.seq:
        return Result(Outcome.STALE, state.seq)
    if not leg.seq:
        contend(batch.state, leg, -1)
    after = places(c.lines)
    _move(batch, leg.reservation(), places(leg.lines), after)
    drew, leg.lines, leg.seq = leg.lines, deepcopy(c.lines), c.seq
    if not any(held or committed for held, committed, *_ in after.values()):
        del state.legs[c.id]
    tidy(state, c.id)
    batch.entries.append(LegFollowed(batch.next_seq(), batch.now, "", "", *_after(batch, leg, drew)))
    return Result(Outcome.APPLIED, state.seq)


def followed(batch: Batch, c: Followed) -> Result:
    """Nothing is left to follow, unless the record changed meanwhile."""
    if batch.state.following.get(c.id) != c.seq:
        return Result(Outcome.STALE, batch.state.seq)
    del batch.state.following[c.id]
    batch.entries.append(BasketFollowed(batch.next_seq(), batch.now, "", "", c.id, c.seq))
    return Result(Outcome.APPLIED, batch.state.seq)


def _abort(batch: Batch, basket: Basket) -> None:
    """The attempt's own leg here, at home, goes with it."""
    del batch.state.baskets[identity_of(basket.id)]
    tidy(batch.state, basket.id)
    batch.entries.append(BasketAborted(batch.next_seq(), batch.now, "", "", basket.id, basket.attempt))
    leg = batch.state.legs.get(basket.id)
    if leg is not None and leg.attempt == basket.attempt and not leg.seq:
        _drop(batch, leg)


def _drop(batch: Batch, leg: Leg) -> None:
    """Free an undecided leg."""
    contend(batch.state, leg, -1)
    del batch.state.legs[leg.id]
    tidy(batch.state, leg.id)
    _move(batch, leg.reservation(), places(leg.lines), {})
    batch.entries.append(LegDropped(batch.next_seq(), batch.now, "", "", *_after(batch, leg, [])))


def tidy(state: State, id: str) -> None:
    """Nobody need ask about the id when it has neither an undecided leg nor an undecided basket here."""
    leg, basket = state.legs.get(id), state.baskets.get(identity_of(id))
    if (leg is None or leg.seq) and (basket is None or basket.id != id or not basket.deadline):
        state.undecided.pop(id, None)


def schedule(state: State, id: str) -> None:
    """Keep true when anybody may ask about the id: after the deadline of its undecided leg, else of its basket."""
    leg, basket = state.legs.get(id), state.baskets.get(identity_of(id))
    if leg is not None and not leg.seq:
        state.undecided[id] = leg.deadline
    elif basket is not None and basket.id == id and basket.deadline:
        state.undecided[id] = basket.deadline
    else:
        state.undecided.pop(id, None)


def contend(state: State, leg: Leg, sign: int) -> None:
    """Count the units of an undecided leg as tentative, or no longer: by position, and by seller and sku."""
    seller = BY_SELLER + seller_name(leg.channel, leg.campaign)
    for (sku, location, *_), (held, *_) in places(leg.lines).items():
        for place in ((sku, location), (seller, sku)):
            units = state.contended.pop(place, 0) + sign * held
            if units:
                state.contended[place] = units


def _move(batch: Batch, r: Reservation, before: Places, after: Places) -> None:
    """Move positions, and the counters of the reservation's seller and customer, from some units to others."""
    minute = batch.now // SHIPPED_BUCKET_MS * SHIPPED_BUCKET_MS
    for place in {**before, **after}:
        units = zip(after.get(place, _NONE), before.get(place, _NONE), strict=True)
        held, committed, fulfilled, shipped = (new - old for new, old in units)
        sku, location, supply, needed_by = place
        position = batch.position(sku, location)
        if supply:
            peg(position.supply, supply, needed_by, held + committed)
        else:
            position.held += held
            position.committed += committed
        if shipped > 0:
            position.shipped[minute] = position.shipped.get(minute, 0) + shipped
        count_held(batch, r, sku, held)
        count_sold(batch, r, sku, held + committed + fulfilled)


def places(lines: list[Line]) -> Places:
    """What the lines draw, by place."""
    found: Places = {}
    for line in lines:
        for a in line.allocations:
            units = found.setdefault((line.sku, a.location, a.supply, line.needed_by), [0, 0, 0, 0])
            units[0] += a.held
            units[1] += a.committed
            units[2] += a.fulfilled
            units[3] += sum(a.told[2::3])
    return found


def _units(lines: list[Line]) -> Places:
    return {place: units for place, units in places(lines).items() if any(units)}


def _after(batch: Batch, leg: Leg, drew: list[Line]) -> tuple[Leg, list]:
    """A copy of a leg that just changed, and the balances it left; ``drew`` is what it had before."""
    batch.touch(batch.state.seq, [line.sku for line in [*leg.lines, *drew]])
    return deepcopy(leg), batch.balances([*leg.lines, *drew])


def _ttl(batch: Batch, r: Reserve) -> int:
    return hold_ttl(r, batch.channel(r.channel), batch.campaign(r.campaign) if r.campaign else None)
