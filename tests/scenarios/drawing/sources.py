"""Heartbeats, restarts, cut-overs, and the pages that follow them."""

from random import Random
from typing import Any

from atp.domain import commands as c
from tests.scenarios.world import LOCATION_BODIES, LOCATIONS, SOURCES

SHARE = 14

#: What makes silence and fallback likely: wms is the source that sends most levels.
PATIENCE = ('{"kind":"wms","stale_after_seconds":2}', '{"kind":"wms","measure":"available","stale_after_seconds":3}')
PAIRS = [body for body in LOCATION_BODIES if '"wms","role":"authority"' in body and "fallback" in body]


def command(life: Any, draw: Random) -> c.Command:
    state, kind = life.reference.state, draw.randrange(32)
    source = draw.choice(["wms", *SOURCES, *SOURCES, "new"])
    if kind < 3:
        return c.PutPolicy("location", draw.choice(LOCATIONS[:2]), draw.choice(PAIRS), -1, 0, "a")
    if kind < 5:
        return c.PutPolicy("source", "wms", draw.choice(PATIENCE), -1, 0, "a")
    if kind > 27:
        return _touch(life, draw, source)
    kind -= 4
    if kind < 14:
        position = draw.choice([0, 0, life.position + 1, max(1, life.position - 3)])
        return c.Heartbeat(source, "STOCK/0", position, "h", draw.random() < 0.8)
    change = c.Change(1 + draw.randrange(60), draw.choice([0, 0, 0, 1]))
    if kind < 16:
        generation = draw.choice([0, 0, 0, 2, 65_535, 65_536])
        return c.RestartSource(source, change, generation, "client", "t")
    if kind < 19:
        bodies = [body for body in LOCATION_BODIES if f'"{source}","role":"authority"' in body]
        body = draw.choice(bodies or list(LOCATION_BODIES))
        expected, version = draw.choice([-1, -1, -1, 3]), draw.choice([0, 0, 0, 9])
        return c.MoveAuthority(draw.choice(LOCATIONS), source, change, body, expected, version, "client", "t")
    waiting = [(at, place.recheck) for at, place in state.locations.items() if place.recheck]
    location, seq = draw.choice(waiting or [("DC1", 5)])
    skus = draw.sample([*life.skus, "unknown"], draw.choice([0, 2, 4]))
    return c.Recheck(location, draw.choice([seq, seq, seq, seq - 1]), skus, draw.random() < 0.4, "t")


def _touch(life: Any, draw: Random, source: str) -> c.Touch:
    sku, at = draw.choice([*life.skus, "unknown"]), draw.choice(["", *LOCATIONS])
    kind = draw.choice(["sequence", "sequence", "time", ""])
    version = (0, max(0, life.version + draw.choice([-2, 0, 1, 3]))) if kind else (0, 0)
    position = draw.choice([0, 0, life.position + 1, max(1, life.position - 3)])
    return c.Touch(sku, at, source, kind, version, "STOCK/0", position, draw.choice([0, life.now]), "t")
