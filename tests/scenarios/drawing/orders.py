"""Events about orders, and returns."""

from random import Random
from typing import Any

from atp.domain import commands as c
from atp.domain.order_commands import Include, OrderLine
from atp.domain.state import State
from tests.scenarios.world import LOCATIONS, ORDERS, SOURCES

SHARE = 18


def command(life: Any, draw: Random) -> c.Command:
    source = draw.choice(["wms", "wms", *SOURCES])
    version_kind = draw.choice(["time", "sequence"]) if source == "erp" else "sequence"
    life.version += draw.choice([0, 1])
    version = (0, max(0, life.version - draw.choice([0, 0, 1, 5])))
    life.position += draw.choice([0, 1])
    event = draw.randrange(200) * 2**45 + 5
    common = (version_kind, version, "STOCK/0", life.position, draw.choice([0, life.now]), event)
    if draw.random() < 0.2:
        sku, at = draw.choice(life.skus[:1] * 3 + life.skus), draw.choice(["DC1"] * 5 + list(LOCATIONS))
        quantity, sellable = draw.choice([1, 3, 12]), draw.random() < 0.5
        return c.TakeBack(sku, at, source, quantity, *common, sellable, draw.choice(["", "A-1"]), "e")
    if draw.random() < 0.1:
        sku, at = draw.choice(life.skus[:1] * 3 + life.skus), draw.choice(["DC1"] * 5 + list(LOCATIONS))
        measure = draw.choice(["", "", "", "available"])
        return Include(sku, at, source, 9, *common[:-1], measure, "e", draw.sample(life.ids, draw.randrange(4)))
    what = draw.choice(["fulfilled"] * 4 + ["cancelled"] * 2 + ["acknowledged"] * 2)
    named = draw.random() < 0.7
    order = draw.choice(ORDERS) if named else ""
    known = [r.id for r in life.reference.state.reservations.values()]
    reservation = "" if named else draw.choice(known if known and draw.random() < 0.95 else life.ids)
    lines = [_line(life, draw, order or reservation) for _ in range(draw.choice([0, 1, 1, 1, 2]))]
    shipment = draw.choice([0, 0, 70, 71]) if what == "fulfilled" else 0
    complete = what == "fulfilled" and draw.random() < 0.2
    part = draw.choice(["", "", "", "", "stock" if lines else "", "order"])
    return c.TellOrder(what, reservation, source, order, *common, lines, shipment, complete, "e", part)


def _line(life: Any, draw: Random, name: str) -> OrderLine:
    """Mostly of what the order has, where it has it."""
    state: State = life.reference.state
    found = [
        (line.sku, a.location)
        for r in state.reservations.values() if name in (r.id, r.order_ref)
        for line in r.lines if line.sku in life.skus
        for a in line.allocations
    ]  # fmt: skip
    sku, location = draw.choice(found or [(draw.choice(life.skus), "DC1")])
    if draw.random() < 0.3:
        location = draw.choice(["", "", "DC2", *LOCATIONS])
    return OrderLine(sku, draw.choice([1, 1, 2, 3, 7]), location, draw.random() < 0.4)
