"""Floors: what the protections of other sellers leave for one seller of a sku (R11, R32).

A protection belongs to the locations its seller may sell from. Floors are granted by rank out of what is there, so
floors that ask for more than there is never strand stock. A seller may draw as long as every floor that was granted
can still be met, all of them at once, from what remains: by Hall's theorem that is so while, for every set T of other
sellers, the stock at the locations of T is at least the sum of T's floors. Where all sellers share the same locations
this is R11's ``F − Σ floors of the others``; where their locations only overlap it stays exact.
"""

from collections.abc import Mapping, Sequence

from msgspec import Struct


class Protected(Struct):
    """A seller with a floor: what it still wants kept, and where it may sell from."""

    name: str
    want: int
    locations: frozenset[str]


class Floors:
    """Slack of every set of other sellers, less what has been drawn. Bit i of a set stands for ``ranked[i]``."""

    def __init__(self, free: Mapping[str, int], ranked: Sequence[Protected], me: str) -> None:
        self._masks = {at: sum(1 << i for i, p in enumerate(ranked) if at in p.locations) for at in free}
        self._free = free
        granted: list[int] = []
        for i, seller in enumerate(ranked):
            limits = [self._stock(better | 1 << i) - _total(granted, better) for better in range(1 << i)]
            granted.append(max(0, min(seller.want, *limits)))
        mine = sum(1 << i for i, seller in enumerate(ranked) if seller.name == me)
        self.slack = {
            others: self._stock(others) - _total(granted, others)
            for others in range(1, 1 << len(ranked))
            if not others & mine
        }

    def left(self, location: str) -> int | None:
        """Units that may still be drawn here, or None where no other seller has a claim."""
        mask = self._masks.get(location, 0)
        return min((slack for others, slack in self.slack.items() if others & mask), default=None)

    def draw(self, location: str, units: int) -> None:
        """Account for units drawn here; negative ones undo."""
        mask = self._masks.get(location, 0)
        for others in self.slack:
            if others & mask:
                self.slack[others] -= units

    def _stock(self, sellers: int) -> int:
        return sum(units for at, units in self._free.items() if self._masks[at] & sellers)


def _total(granted: Sequence[int], sellers: int) -> int:
    return sum(units for i, units in enumerate(granted) if sellers >> i & 1)
