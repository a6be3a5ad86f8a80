"""Allocations: where the units of a reservation are counted beside its own record."""

from atp.domain.projection import peg
from atp.domain.records import Allocation, Line
from atp.domain.rules.batch import Batch
from atp.domain.state import Position


def move(batch: Batch, line: Line, a: Allocation, *, held: int = 0, committed: int = 0) -> None:
    """Units of an allocation changed: those of stock on hand count in the position, the others on their days."""
    position = batch.sku(line.sku).positions.setdefault(a.location, Position())
    if a.supply:
        peg(position.supply, a.supply, line.needed_by, held + committed)
    else:
        position.held += held
        position.committed += committed
