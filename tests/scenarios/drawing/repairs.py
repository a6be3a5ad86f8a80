"""Repairs of what has no drift, so that counters stay true; records put back that are there, or ended long ago."""

from random import Random
from typing import Any

from atp.domain.commands import Raise
from atp.domain.repair_commands import Correction, PutBack, Repair, at_version
from tests.scenarios.world import CHANNELS, LOCATIONS, ORDERS

SHARE = 2


def command(life: Any, draw: Random) -> Raise | Repair | PutBack:
    state = life.reference.state
    open = [(key.split("\x1f")[1:], seq) for key, seq in sorted(state.exceptions.items()) if key.startswith("drift")]
    if not open or draw.random() < 0.3:
        about = draw.choice(
            [{"sku": draw.choice(life.skus[:3]), "location": "DC1"}, {"reservation": draw.choice(life.ids)}]
        )
        return Raise("drift", **about)
    (sku, location, source, id), raised = draw.choice(open)
    raised += draw.random() < 0.1
    if id:
        kept = [life.journaled[id]] if id in life.journaled and draw.random() < 0.7 else []
        return PutBack(id, draw.choice(["", *ORDERS]), kept, raised, "drawn")
    return Repair(sku, location, source, raised, _corrections(state, sku, location, draw), "drawn")


def _corrections(state: Any, sku: str, location: str, draw: Random) -> list[Correction]:
    item = state.skus.get(sku)
    if location:
        days = list(item.positions[location].supply) if item and location in item.positions else []
        found = [Correction("held", "", 0), *[Correction("pegged", day, 0) for day in days]]
        for who, known in item.positions[location].sources.items() if item and location in item.positions else ():
            found.append(Correction("included", who, 0))
            found += [Correction("pending", at_version(who, version), 0) for version in [*known.pending, (1, 0, 9)]]
        return found if draw.random() < 0.7 else found[:1]
    found = [Correction("used", who, 0, share.since) for who, share in item.sellers.items()] if item else []
    for (channel, customer), units in sorted(state.holding.items())[:2]:
        found.append(Correction("holding", f"{channel}\x1f{customer}", 0, units + draw.choice([0, 0, 1])))
    for name, seq in sorted(state.exceptions.items())[:2]:
        found.append(Correction("exception", name, 0, seq + draw.choice([0, 0, 0, 1])))
    found.append(Correction("places", draw.choice(LOCATIONS), 0))
    found.append(Correction("awaited", draw.choice(ORDERS), 0))
    found.append(Correction("count", draw.choice(["shortages", "exceptions", "baskets", "awaited"]), 0))
    return [*found, Correction("sums", draw.choice(CHANNELS), 0)]
