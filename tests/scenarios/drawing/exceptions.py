"""Exceptions raised and resolved by hand; mostly ones that are there already."""

from random import Random
from typing import Any

from atp.domain.commands import Raise, Resolve

SHARE = 1

_KINDS = ("drift", "gap")


def command(life: Any, draw: Random) -> Raise | Resolve:
    kind, sku = draw.choice(_KINDS), draw.choice(life.skus)
    if draw.random() < 0.5:
        return Raise(kind, sku, draw.choice(("", "DC1")), detail="drawn")
    open = [(key.split("\x1f"), seq) for key, seq in sorted(life.reference.state.exceptions.items())]
    open += [(["shortage", *place, "", ""], short.seq) for place, short in life.reference.state.shortages.items()]
    if not open or draw.random() < 0.2:
        return Resolve(kind, sku, "", "", "", draw.randrange(100), "accepted")
    (kind, sku, location, source, reservation), seq = draw.choice(open)
    return Resolve(kind, sku, location, source, reservation, seq, "accepted", "drawn", "tests")
