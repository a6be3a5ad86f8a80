"""Corrections by people; mostly new ones, some repeated or under a key that was used."""

from random import Random
from typing import Any

from atp.domain.commands import Adjust
from tests.scenarios.world import LOCATIONS

SHARE = 2


def command(life: Any, draw: Random) -> Adjust:
    sku, at = draw.choice(life.skus[:1] * 4 + life.skus), draw.choice(["DC1"] * 3 + list(LOCATIONS))
    quantity = draw.choice([1, 6, -1, -3, 10**9])
    return Adjust(sku, at, quantity, draw.randrange(30) * 2**47 + 5, quantity, "drawn", "manager", "e")
