"""Changes of reservations: confirm, release, fulfil, acknowledge, transfer, extend."""

from random import Random
from typing import Any

from msgspec import structs

from atp.domain import commands as c
from atp.domain.ids import identity_of
from tests.scenarios.world import LOCATIONS, ORDERS, SOURCES

SHARE = 35


def command(life: Any, draw: Random) -> c.Command:
    known = [r.id for r in life.reference.state.reservations.values()]
    target = draw.choice(known if known and draw.random() < 0.95 else life.ids)
    change = c.Change(1 + draw.randrange(60), draw.choice([0, 0, 0, 1]))
    lines = [(draw.choice("000001x"), draw.randint(1, 5)) for _ in range(draw.choice([0, 0, 1, 2]))]
    kind = draw.randrange(35)
    if kind < 13:
        gone = [t.id for t in life.reference.state.tombstones.values() if t.state == "expired"]
        if gone and draw.random() < 0.4:
            target, lines = draw.choice(gone), []
        kept = [life.journaled[target]] if target in life.journaled and draw.random() < 0.7 else []
        if kept and draw.random() < 0.1:
            kept = [structs.replace(kept[0], seq=kept[0].seq - 1)]
        again = draw.random() < (0.8 if kept else 0.3)
        return c.Confirm(target, change, draw.choice(["", "", *ORDERS]), lines, "client", "t", again, kept)
    if kind < 20:
        return c.Release(target, change, draw.choice(["", "held", "committed", "all"]), lines, "why", "client")
    if kind < 24:
        return c.Fulfil(target, change, lines, draw.choice([0, 0, 70, 71]), "client")
    if kind < 27:
        if draw.random() < 0.5:
            return c.Acknowledge(target, change, lines, "client")
        version = (0, max(0, life.version + draw.choice([-9, -2, 0, 1, 3])))
        source, version_kind = draw.choice(["wms", "wms", *SOURCES]), draw.choice(["sequence"] * 5 + ["time"])
        return c.Acknowledge(target, change, lines, "client", "t", source, version, version_kind)
    if kind < 31:
        record = life.reference.state.reservations.get(identity_of(target))
        places = [a.location for line in record.lines for a in line.allocations] if record else []
        source, to = draw.choice(places or LOCATIONS), draw.choice(LOCATIONS[:3] * 3 + LOCATIONS)
        return c.Transfer(target, change, draw.choice("0001x"), source, to, draw.randint(1, 3), "client")
    return c.Extend(target, change, draw.choice([1, 60_000, 14_400_000]), "client")
