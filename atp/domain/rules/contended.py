"""Contended: is a refusal due only to units that undecided baskets have taken? (R3)

Such units may be free again in a moment, so the command is not decided yet: its sender asks again until its deadline.
"""

from atp.domain.commands import Reserve
from atp.domain.rules.batch import Batch
from atp.domain.rules.sourcing import Sourcing

#: Before the seller's name where tentative units are kept by seller and sku; no identifier has it.
BY_SELLER = "\x1e"


def contended(batch: Batch, sourcing: Sourcing, c: Reserve) -> bool:
    """Whether the refused request would be granted, were the tentative units free."""
    if not give_back_tentative(batch, sourcing):
        return False
    if c.allow_partial:
        return any(sourcing.draw(c.lines, split=c.allow_split))
    return not sourcing.shortfalls(c.lines, split=c.allow_split)


def give_back_tentative(batch: Batch, sourcing: Sourcing) -> bool:
    """Begin the reading anew with tentative units counted as free; False when there are none."""
    for (place, within), units in batch.state.contended.items():
        if place.startswith(BY_SELLER):
            sourcing.give_back_sold(place.removeprefix(BY_SELLER), within, units)
        else:
            sourcing.give_back_at(place, within, units)
    sourcing.begin()
    return bool(batch.state.contended)
