"""Policies."""

from random import Random
from typing import Any

from atp.domain import commands as c
from tests.scenarios.world import ITEM_BODIES, LOCATION_BODIES, LOCATIONS, SOURCE_BODIES, SOURCES

SHARE = 5


def command(life: Any, draw: Random) -> c.Command:
    kind = draw.choice(["location", "location", "item", "item", "source", "source", "client"])
    names = {"location": LOCATIONS[:4], "item": life.skus, "source": SOURCES, "client": ("shop",)}[kind]
    bodies = {"location": LOCATION_BODIES, "item": ITEM_BODIES, "source": SOURCE_BODIES, "client": ("{}",)}[kind]
    expected, version = draw.choice([-1, -1, 0, 4]), draw.choice([0, 0, 9, life.reference.state.seq + 4])
    called = draw.choice([0, draw.randrange(1, 6)])
    return c.PutPolicy(kind, draw.choice(names), draw.choice(bodies), expected, version, "a", call=called)
