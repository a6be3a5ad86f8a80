"""Sourcing: where the lines of a basket draw (R38).

Lines that name a location draw there. The others: the first location by rank that covers all of them, else per line
the first that covers it whole, else filled by rank. ``allow_split: false`` permits only the first.
"""

from collections import defaultdict

from atp.domain.commands import ReserveLine
from atp.domain.records import Reservation, Shortfall
from atp.domain.rules.batch import Batch

#: Other locations named in a refusal.
OTHERS_MAX = 10

Draws = list[tuple[str, int]]


class Sourcing:
    """Free units of one reading, less what earlier lines of the same basket take."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.taken: dict[tuple[str, str], int] = defaultdict(int)
        self._given_back: dict[tuple[str, str], int] = defaultdict(int)

    def give_back(self, reservation: Reservation) -> None:
        """Count the held units of a reservation that is to be replaced as free (R37)."""
        for line in reservation.lines:
            for a in line.allocations:
                self._given_back[line.sku, a.location] += a.held

    def free(self, sku: str, location: str) -> int:
        policy = self.batch.location(location)
        if policy is None or not policy.active:
            return 0
        place = (sku, location)
        return max(0, self.batch.balance(sku, location).free + self._given_back[place] - self.taken[place])

    def take(self, sku: str, location: str, quantity: int) -> Draws:
        """Draw from one location; nothing is no draw."""
        self.taken[sku, location] += quantity
        return [(location, quantity)] if quantity else []

    def fill(self, sku: str, quantity: int) -> Draws:
        """Draw by rank until the quantity is met or nothing is left."""
        draws: Draws = []
        for location in self.batch.ranked(sku):
            if units := min(quantity, self.free(sku, location)):
                draws += self.take(sku, location, units)
                quantity -= units
        return draws

    def shortfalls(self, lines: list[ReserveLine], *, split: bool) -> list[Shortfall]:
        """Lines that cannot be met; located lines draw first, since they have no other place to go."""
        self.taken.clear()
        found: dict[int, Shortfall] = {}
        for index, line in _located(lines):
            available = self.free(line.sku, line.location)
            if available < line.quantity:
                found[index] = self.shortfall(index, line, available)
            else:
                self.take(line.sku, line.location, line.quantity)
        together = "" if split else self._best_location(lines)
        for index, line in _open(lines):
            places = self.batch.ranked(line.sku) if split else [together]
            available = sum(self.free(line.sku, at) for at in places)
            if available < line.quantity:
                found[index] = self.shortfall(index, line, available)
            elif split:
                self.fill(line.sku, line.quantity)
            else:
                self.take(line.sku, together, line.quantity)
        return [found[index] for index in sorted(found)]

    def shortfall(self, index: int, line: ReserveLine, available: int) -> Shortfall:
        """One refused line: what it could be granted, who holds the rest, and where else there is some."""
        ranked = self.batch.ranked(line.sku)
        asked = [line.location] if line.location else ranked
        held = sum(self.batch.balance(line.sku, at).held for at in asked)
        others = [(at, free) for at in ranked if at not in asked and (free := self.free(line.sku, at)) > 0]
        return Shortfall(index, line.sku, line.quantity, available, held, others[:OTHERS_MAX])

    def draw(self, lines: list[ReserveLine], *, split: bool) -> list[Draws]:
        """Where each line draws: everything where it can be had, else what there is."""
        self.taken.clear()
        drawn: list[Draws] = [[] for _ in lines]
        for index, line in _located(lines):
            units = min(line.quantity, self.free(line.sku, line.location))
            drawn[index] = self.take(line.sku, line.location, units)
        if not any(True for _ in _open(lines)):
            return drawn
        together = self._one_location(lines) or ("" if split else self._best_location(lines))
        for index, line in _open(lines):
            at = together or self._whole(line)
            if at:
                drawn[index] = self.take(line.sku, at, min(line.quantity, self.free(line.sku, at)))
            elif split:
                drawn[index] = self.fill(line.sku, line.quantity)
        return drawn

    def _one_location(self, lines: list[ReserveLine]) -> str:
        """The first location by rank that covers all lines that name none, or ""."""
        needed: dict[str, int] = defaultdict(int)
        for _, line in _open(lines):
            needed[line.sku] += line.quantity
        for at in self.batch.ranked(next(iter(needed))):
            if all(self.free(sku, at) >= quantity for sku, quantity in needed.items()):
                return at
        return ""

    def _best_location(self, lines: list[ReserveLine]) -> str:
        """The location that grants most units of the lines that name none; ties by rank, and "" if there is none."""
        needed: dict[str, int] = defaultdict(int)
        for _, line in _open(lines):
            needed[line.sku] += line.quantity
        best, most = "", 0
        for at in self.batch.ranked_together(list(needed)):
            units = sum(min(quantity, self.free(sku, at)) for sku, quantity in needed.items())
            if units > most:
                best, most = at, units
        return best

    def _whole(self, line: ReserveLine) -> str:
        return next((at for at in self.batch.ranked(line.sku) if self.free(line.sku, at) >= line.quantity), "")


def _located(lines: list[ReserveLine]) -> list[tuple[int, ReserveLine]]:
    return [(index, line) for index, line in enumerate(lines) if line.location]


def _open(lines: list[ReserveLine]) -> list[tuple[int, ReserveLine]]:
    return [(index, line) for index, line in enumerate(lines) if not line.location]
