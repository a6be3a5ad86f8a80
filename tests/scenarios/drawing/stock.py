"""Levels, deltas, statuses and cursors."""

from random import Random
from typing import Any

from atp.domain import commands as c
from tests.scenarios.laws import START_MS
from tests.scenarios.world import LOCATIONS, ORDERS, SOURCES

SHARE = 25


def command(life: Any, draw: Random) -> c.Command:
    sku, source = draw.choice(life.skus[:1] * 4 + life.skus), draw.choice(["wms", *SOURCES])
    at = draw.choice(["DC1"] * 6 + list(LOCATIONS))
    version_kind = draw.choice(["time", "sequence"]) if source == "erp" else "sequence"
    life.version += draw.choice([0, 1])
    version = (draw.choice([0, 0, 0, 2**31 - 1]), max(0, life.version - draw.choice([0, 0, 1, 5])))
    kind = draw.randrange(25)
    if kind == 0:
        return c.Cursor(draw.choice(["STOCK/0", "other"]), max(1, life.position - draw.randrange(4)))
    life.position += draw.choice([0, 1, 2])
    as_of = draw.choice([0, START_MS - 5, life.now])
    if kind < 13:
        measure = draw.choice(["", "", "on_hand", "available"])
        quantity = draw.choice([0, 3, 10, 25, 40, -2, 10**9])
        included = draw.sample(ORDERS, draw.choice([0, 0, 0, 1, 2]))
        return c.Level(
            sku, at, source, quantity, version_kind, version, "STOCK/0", life.position, as_of, measure, "e", included
        )
    quantity = draw.choice([1, 5, 12, -1, -4, -(10**9)])
    if kind < 16:
        unsellable = draw.choice([0, 1, 4, 4, 30])
        return c.Status(sku, at, source, unsellable, version_kind, version, "STOCK/0", life.position, as_of, "e")
    event = draw.randrange(200) * 2**45 + 1
    return c.Delta(sku, at, source, quantity, version_kind, version, "STOCK/0", life.position, as_of, event, "e")
