"""Deliveries: announced, moved, called off, received."""

from random import Random
from typing import Any

from atp.domain import commands as c
from tests.scenarios.table import day_of
from tests.scenarios.world import LOCATIONS, SOURCES

SHARE = 9


def command(life: Any, draw: Random) -> c.Command:
    sku, source = draw.choice(life.skus[:1] * 3 + life.skus), draw.choice(["erp", "wms", *SOURCES])
    at = draw.choice(["DC1"] * 5 + list(LOCATIONS))
    version_kind = draw.choice(["time", "sequence"]) if source == "erp" else "sequence"
    life.version += draw.choice([0, 1])
    version = (0, max(0, life.version - draw.choice([0, 0, 1, 5])))
    life.position += draw.choice([0, 1])
    supply_id = draw.choice(["po-1", "po-1", "po-2", "po-3"])
    if draw.random() < 0.15:
        return c.Overdue(sku, at, supply_id, "e")
    if draw.random() < 0.3:
        event, quantity = draw.randrange(200) * 2**45 + 3, draw.choice([1, 4, 10, 30])
        return c.Received(
            sku, at, source, quantity, version_kind, version, "STOCK/0", life.position, life.now, event, supply_id, "e"
        )
    quantity = draw.choice([0, 5, 10, 10, 25, 60])
    day, starts_at = day_of(draw.choice(["d-1", "d0", "d1", "d1", "d2", "d4", "d9"])) if quantity else ("", 0)
    return c.Incoming(
        sku, at, source, quantity, version_kind, version, "STOCK/0", life.position, 0, supply_id, day, starts_at, "e"
    )
