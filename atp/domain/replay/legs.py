"""Replay of baskets that span partitions (R3)."""

from collections.abc import Sequence

from atp.domain.entries import BasketAborted, BasketFollowed, BasketOpened, LegDropped, LegFollowed, LegTaken
from atp.domain.ids import identity_of
from atp.domain.projection import peg
from atp.domain.records import Leg, Line, Reservation
from atp.domain.replay.balances import count, position_of, sku_of, take, take_shipped
from atp.domain.rules.legs import contend, places, tidy
from atp.domain.state import Basket, State


def dissolve(state: State, r: Reservation) -> None:
    """If this decides a basket, its leg at home becomes the reservation; the entry's balances are those after it."""
    basket = state.baskets.get(identity_of(r.id))
    if basket is None or not basket.deadline or basket.id != r.id:
        return
    if not any(line.sku in basket.foreign for line in r.lines):
        return  # the same id for skus that all live here, while the basket is not decided
    leg = state.legs.get(r.id)
    if leg is not None and leg.attempt == basket.attempt and not leg.seq:
        contend(state, leg, -1)
        del state.legs[r.id]
        _move(state, leg, leg.lines, [])
    basket.deadline = 0
    tidy(state, r.id)


def _opened(state: State, entry: BasketOpened) -> None:
    state.baskets[identity_of(entry.id)] = Basket(
        entry.id, entry.seq, entry.call, entry.fingerprint, entry.deadline, entry.foreign
    )
    state.undecided[entry.id] = entry.deadline


def _aborted(state: State, entry: BasketAborted) -> None:
    del state.baskets[identity_of(entry.id)]
    tidy(state, entry.id)


def _followed(state: State, entry: BasketFollowed) -> None:
    del state.following[entry.id]


def _taken(state: State, entry: LegTaken) -> None:
    leg = entry.leg
    state.legs[leg.id] = leg
    state.undecided[leg.id] = leg.deadline
    contend(state, leg, 1)
    _move(state, leg, [], leg.lines)
    _touch(state, entry, leg.lines)


def _dropped(state: State, entry: LegDropped) -> None:
    leg = entry.leg
    contend(state, leg, -1)
    del state.legs[leg.id]
    tidy(state, leg.id)
    _move(state, leg, leg.lines, [])
    _touch(state, entry, leg.lines)


def _went_on(state: State, entry: LegFollowed) -> None:
    leg, before = entry.leg, state.legs[entry.leg.id]
    if not before.seq:
        contend(state, before, -1)
    _move(state, leg, before.lines, leg.lines)
    if any(a.held or a.committed for line in leg.lines for a in line.allocations):
        state.legs[leg.id] = leg
    else:
        del state.legs[leg.id]
    tidy(state, leg.id)
    _touch(state, entry, [*leg.lines, *before.lines])
    take_shipped(state, entry.at, entry.balances)


def _move(state: State, leg: Leg, before: Sequence[Line], after: Sequence[Line]) -> None:
    """What the units of a leg change beside the positions, which the entry's balances show."""
    r, was, now = leg.reservation(), places(list(before)), places(list(after))
    for place in {**was, **now}:
        units = zip(now.get(place, (0, 0, 0, 0)), was.get(place, (0, 0, 0, 0)), strict=True)
        held, committed, fulfilled, _ = (new - old for new, old in units)
        sku, location, supply, needed_by = place
        position = position_of(state, sku, location)
        if supply:
            peg(position.supply, supply, needed_by, held + committed)
        count(state, r, sku, held, held + committed + fulfilled)


def _touch(state: State, entry: LegTaken | LegDropped | LegFollowed, lines: Sequence[Line]) -> None:
    for line in lines:
        sku_of(state, line.sku).seq = entry.seq
    take(state, entry.seq, entry.balances)


EFFECTS = {
    BasketOpened: _opened,
    BasketAborted: _aborted,
    BasketFollowed: _followed,
    LegTaken: _taken,
    LegDropped: _dropped,
    LegFollowed: _went_on,
}
