"""Baskets."""

from random import Random
from typing import Any

from atp.domain import commands as c
from atp.domain.ids import identity_of
from tests.scenarios.table import day_of
from tests.scenarios.world import CAMPAIGNS, CHANNELS, LOCATIONS, ORDERS

SHARE = 35

DAYS = ["", "", "", *(day_of(text)[0] for text in ("d-2", "d1", "d2", "d3", "d12"))]


def command(life: Any, draw: Random) -> c.Command:
    places = [("", ""), ("", ""), ("", ""), ("DC1", ""), ("DC2", ""), (draw.choice(LOCATIONS), "")]
    places += [("", "east"), ("", draw.choice(["shops", "none"]))] if draw.random() < 0.3 else []
    lines = [
        c.ReserveLine(
            str(i), draw.choice(life.skus), draw.randint(1, 9), *draw.choice(places), needed_by=draw.choice(DAYS)
        )
        for i in range(draw.choice([1, 1, 2, 4]))
    ]
    new = [i for i in life.ids if identity_of(i) not in life.reference.state.reservations]
    reservation = draw.choice(new if new and draw.random() < 0.7 else life.ids)
    fingerprint = draw.choice([7] * 9 + [8])
    ttl = draw.choice([0, 1_000, 5_000, 600_000, 14_400_000])
    replaces = draw.choice([*[""] * 5, draw.choice(life.ids)])
    order = draw.choice(["", *ORDERS])
    customer = draw.choice(["", "", "", "c-1"])
    channel, campaign = draw.choice(["web", "web", *CHANNELS, "new"]), draw.choice([*[""] * 5, *CAMPAIGNS])
    partial, split, dry = draw.random() < 0.2, draw.random() < 0.8, draw.random() < 0.1
    return c.Reserve(
        reservation, fingerprint, "client", channel, customer, order, campaign, "", ttl, lines, "t",
        partial, split, dry, replaces, draw.choice(["", "t1", "t2"]),
    )  # fmt: skip
