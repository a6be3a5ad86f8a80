"""Baskets that span partitions: this partition is home of some, and has legs of others."""

from copy import deepcopy
from random import Random
from typing import Any, cast

from atp.domain import commands as c
from atp.domain.ids import identity_of
from atp.domain.records import Allocation, Line, Shortfall
from tests.scenarios.drawing import reserves

SHARE = 25

#: Skus that no other command of a random life names.
FOREIGN = ("far-1", "far-2")


def command(life: Any, draw: Random) -> c.Command:
    state, kind = life.reference.state, draw.randrange(40)
    open_ = [b for b in state.baskets.values() if b.deadline]
    if kind < 8 or (kind < 14 and not (open_ or state.legs)):
        asked = _asked(life, draw, draw.choice(life.ids))
        return c.OpenBasket(draw.randrange(3), draw.choice([1_000, 60_000]), list(FOREIGN), asked)
    if kind < 16 and open_:
        basket = draw.choice(open_)
        return c.TakeLeg(_near(basket.attempt, draw), 5_000, _asked(life, draw, basket.id))
    if kind < 18:
        return c.TakeLeg(draw.choice([1, 2, 3]), 5_000, _asked(life, draw, draw.choice(life.ids) + "far"))
    if kind < 26 and open_:
        return _decide(life, draw, draw.choice(open_))
    if kind < 30:
        id, attempt = draw.choice([(b.id, b.attempt) for b in state.baskets.values()] or [(life.ids[0], 1)])
        short = draw.choice([[], [Shortfall(0, life.skus[0], 2, 1, 0, [("DC1", 1)])]])
        return c.Abort(id, draw.choice([7, 7, 8]), _near(attempt, draw), short)
    if kind < 33:
        # Home drops its own leg only once the attempt is over, as the coordinator does.
        legs = [leg for leg in state.legs.values() if leg.attempt not in {b.attempt for b in open_}]
        id, attempt = draw.choice([(leg.id, leg.attempt) for leg in legs] or [(life.ids[0], 1)])
        return c.DropLeg(id, _near(attempt, draw))
    if kind < 38:
        return _follow(life, draw)
    id, seq = draw.choice(list(state.following.items()) or [(life.ids[0], 1)])
    return c.Followed(id, draw.choice([seq, seq, seq, seq - 1]))


def _near(attempt: int, draw: Random) -> int:
    return attempt + draw.choice([0] * 8 + [-1, 1])


def _asked(life: Any, draw: Random, id: str) -> c.Reserve:
    asked = cast(c.Reserve, reserves.command(life, draw))
    asked.id, asked.dry_run = id, False
    asked.fingerprint = 8 if draw.random() < 0.05 else 7
    return asked


def _decide(life: Any, draw: Random, basket: Any) -> c.Decide:
    leg = life.reference.state.legs.get(basket.id)
    lines = deepcopy(leg.lines) if leg else []
    if draw.random() < 0.1 and lines:
        lines[0].allocations = [Allocation("DC1", "", draw.randint(1, 3), 0)]
    lines.append(Line("f", FOREIGN[0], 3, [Allocation("DC1", "", draw.randint(1, 3), 0)]))
    return c.Decide(_near(basket.attempt, draw), lines, _asked(life, draw, basket.id))


def _follow(life: Any, draw: Random) -> c.FollowHome:
    """What a home elsewhere could say: units of the leg moved on, or to another place."""
    state = life.reference.state
    legs = [leg for leg in state.legs.values() if identity_of(leg.id) not in state.baskets]
    if not legs:
        return c.FollowHome("none" + "0" * 15, 5, [])
    leg = draw.choice(legs)
    lines = deepcopy(leg.lines)
    for line in lines:
        for a in line.allocations:
            units = draw.randint(0, a.held)
            a.held -= units
            where = draw.choice(["committed", "committed", "released", "fulfilled"])
            setattr(a, where, getattr(a, where) + units)
            if draw.random() < 0.3:
                a.fulfilled, a.committed = a.fulfilled + a.committed, 0
            if a.fulfilled and draw.random() < 0.7:
                a.told = [0, a.fulfilled, a.fulfilled]
            if draw.random() < 0.1:
                a.location = "DC2"
    return c.FollowHome(leg.id, leg.seq + draw.choice([0, 1, 1, 1, 5]), draw.choice([lines] * 9 + [[]]))
