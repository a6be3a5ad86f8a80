"""Parts of snapshots in any order, repeated and contradicted; zeros, and what follows a complete one."""

from random import Random
from typing import Any

from atp.domain import commands as c
from atp.domain.snapshots import SnapshotDecide, SnapshotPart, Zero
from tests.scenarios.world import LOCATIONS, SOURCES

SHARE = 9


def command(life: Any, draw: Random) -> c.Command:
    state, kind = life.reference.state, draw.randrange(20)
    if kind < 12:
        return _part(life, draw)
    if kind < 16 and state.sweeps:
        seq, sweep = draw.choice(list(state.sweeps.items()))
        step = {"counting": "counted", "parked": draw.choice(["accept", "discard"]), "sweeping": "swept"}[sweep.state]
        if draw.random() < 0.1:
            step = draw.choice(["counted", "accept", "discard", "swept"])
        return SnapshotDecide(seq, step, _counts(life, draw, seq, sweep), "a", "x")
    if kind < 17:
        return SnapshotDecide(draw.randrange(1, 99), "swept")
    at, source = draw.choice(["DC1", "DC1", *LOCATIONS]), draw.choice(["wms", *SOURCES])
    version = (draw.choice([1, 1, 1, 2]), 0, max(0, life.version - draw.choice([0, 0, 1, 5])))
    seen = state.sources.get(source)
    kind_of = seen.version_kind if seen else "sequence"
    return Zero(draw.choice(life.skus[:1] * 3 + life.skus), at, source, kind_of, version, life.now, "z")


def _part(life: Any, draw: Random) -> SnapshotPart:
    source = draw.choice(["wms", "wms", "erp"])
    last = life.reference.state.snapshots.get(source)
    if last and draw.random() < 0.8:
        version, id = last.version[1:], last.id
        if draw.random() < 0.1:
            version = (0, version[1] + 1)
        if last.over and draw.random() < 0.2:
            id = draw.choice(last.over)
        known = last.digests.get(part := draw.randint(1, last.parts))
        digest = abs(known) if known and draw.random() < 0.9 else draw.choice([70, 71])
        parts, full, locations, kind = last.parts, last.full, last.locations, last.version_kind
        if draw.random() < 0.03:
            parts, part = parts + 1, 1
        if draw.random() < 0.03:
            full = not full
        if draw.random() < 0.03:
            locations = ["DC2"]
    else:
        version, id, parts, digest = (0, life.version), f"s{draw.randrange(12)}", draw.choice([1, 1, 2, 3]), 70
        part, full = draw.randint(1, parts), draw.random() < 0.8
        locations, kind = draw.choice([["DC1"], ["DC1", "DC2"], sorted(LOCATIONS[:4])]), "sequence"
    life.position += draw.choice([0, 1])
    as_of = 0 if draw.random() < 0.97 else 5
    measure = draw.choice([""] * 8 + ["on_hand"])
    return SnapshotPart(
        source, id, kind, version, "STOCK/0", life.position, parts, part, digest, full, list(locations), as_of,
        measure, draw.random() < 0.6, "p",
    )  # fmt: skip


def _counts(life: Any, draw: Random, seq: int, sweep: Any) -> list[tuple[str, int, int]]:
    """What a sweeper would have counted, or at times something else."""
    if draw.random() < 0.3:
        return [(at, filled := draw.choice([1, 5, 10]), draw.randint(0, filled)) for at in sweep.locations]
    filled, unnamed = life.reference.unnamed(seq, life.now)
    if lua := getattr(life, "lua", None):
        assert lua.unnamed(seq, life.now) == (filled, unnamed)
    return [(at, n, sum(more for _, where, more in unnamed if where == at)) for at, n in sorted(filled.items())]
