"""Pages of shortages, mostly of one that is open."""

from random import Random
from typing import Any

from atp.domain import commands as c

SHARE = 4


def command(life: Any, draw: Random) -> c.Command:
    state = life.reference.state
    (sku, at), open = draw.choice([*state.shortages.items(), ((life.skus[0], "DC1"), None)])
    seq, cursor = (open.seq, open.cursor) if open else (7, 0)
    known = [r.id for r in state.reservations.values()]
    ids = draw.sample(known, min(len(known), draw.choice([0, 1, 3, 9]))) + draw.sample(life.ids, 1)
    after = draw.choice([cursor, cursor, cursor, cursor, 0])
    return c.Affect(sku, at, draw.choice([seq, seq, seq, seq + 1]), after, cursor + 1, ids, draw.random() < 0.3, "x")
