"""Sourcing: where the lines of a basket draw (R38), and how much their seller may draw there (R11, R32).

Lines that name a location draw there. The others, within the channel's locations and the group they name: the first
location by rank that covers all of them, else per line the first that covers it whole, else filled by rank.
``allow_split: false`` permits only the first.

Lines that are needed by a day may draw on supply due by then (R10). Earlier days draw first: what a line leaves for
later days is then the same wherever it draws, so a basket that fits one way fits every way. Floors are granted for each
day out of what may be promised for it, and a line must leave those of its own day and those of now.
"""

from collections import defaultdict
from collections.abc import Iterable
from copy import deepcopy

from atp.domain.commands import ReserveLine
from atp.domain.projection import Day, divide, lowest, peg
from atp.domain.records import Allocation, Line, Reservation, Shortfall
from atp.domain.rules.batch import Batch
from atp.domain.rules.floors import Floors, Protected
from atp.domain.sellers import SEPARATOR, seller_name
from atp.domain.state import NO_CAP, Seller, Sku

#: Other locations named in a refusal.
OTHERS_MAX = 10

#: (location, units, day of the supply or "" for stock on hand)
Draws = list[tuple[str, int, str]]


class Sourcing:
    """Units that one seller may draw by one reading, less what earlier lines of the same basket take."""

    def __init__(self, batch: Batch, channel: str, campaign: str = "", *, capped: bool = True) -> None:
        self.batch = batch
        self.channel = channel
        self._capped = capped
        self.seller = seller_name(channel, campaign)
        self.taken: dict[tuple[str, str], int] = defaultdict(int)
        self._given_back: dict[tuple[str, str], int] = defaultdict(int)
        self._returned: dict[tuple[str, str], int] = defaultdict(int)  # (seller, sku) → units no longer used
        self._pegs_back: dict[tuple[str, str], list[tuple[str, str, int]]] = defaultdict(list)
        self._floors: dict[tuple[str, str], Floors | None] = {}  # (sku, day) → claims of others
        self._days: dict[tuple[str, str], dict[str, Day]] = {}  # supply at a position as this basket leaves it
        self._on_hand: dict[tuple[str, str], int] = defaultdict(int)  # part of ``taken``: stock on hand
        self._split = True

    def give_back(self, reservation: Reservation) -> None:
        """Count the held units of a reservation that is to be replaced as free (R37)."""
        name = seller_name(reservation.channel, reservation.campaign)
        for line in reservation.lines:
            if line.sku in self.batch.foreign:
                continue
            share = self.batch.sku(line.sku).sellers.get(name)
            for a in line.allocations:
                self.move_away(line, a, a.held)
                if share and reservation.first_seq > share.since:
                    self._returned[name, line.sku] += a.held

    def give_back_at(self, sku: str, location: str, units: int) -> None:
        """Count units on hand at a position as free."""
        self._given_back[sku, location] += units

    def move_away(self, line: Line, a: Allocation, units: int) -> None:
        """Count units of an allocation as free that are about to leave it."""
        if a.supply:
            self._pegs_back[line.sku, a.location].append((a.supply, line.needed_by, units))
        else:
            self._given_back[line.sku, a.location] += units

    def places(self, line: ReserveLine) -> list[str]:
        """Where an open line may draw, best rank first."""
        return self.batch.ranked(line.sku, self.channel, line.location_group)

    def give_back_sold(self, seller: str, sku: str, units: int) -> None:
        """Count units as not sold through a seller."""
        self._returned[seller, sku] += units

    def free(self, sku: str, location: str, needed_by: str = "") -> int:
        """Units that may be drawn here for a day or now, unless others have a claim on them or the cap is reached."""
        policy = self.batch.location(location)
        if policy is None or not policy.active:
            return 0
        capacity = self._capacity(sku, location, needed_by)
        limits = [capacity]
        if (left := self._unclaimed(sku, location, needed_by)) is not None:
            limits.append(left)
        if needed_by and (left := self._unclaimed(sku, location, "")) is not None:
            limits.append(left + capacity - self._capacity(sku, location, ""))
        if (cap := self._cap(sku)) is not None:
            limits.append(cap - sum(units for (name, _), units in self.taken.items() if name == sku))
        return max(0, min(limits))

    def take(self, sku: str, location: str, quantity: int, needed_by: str = "") -> Draws:
        """Draw from one location; nothing is no draw."""
        if not quantity:
            return []
        days, on_hand = self._days_at((sku, location)), quantity
        if needed_by:
            left = self._unclaimed(sku, location, "")
            on_hand = self._capacity(sku, location, "")
            on_hand = on_hand if left is None else max(0, min(left, on_hand))
        parts = divide(on_hand, days, needed_by, self.batch.now, quantity)
        draws = [(location, units, supply) for units, supply in parts]
        self._draw(sku, needed_by, draws, 1)
        return draws

    def _draw(self, sku: str, needed_by: str, draws: Draws, sign: int) -> None:
        """Account for units drawn, or take that back."""
        for location, units, supply in draws:
            place = (sku, location)
            kept = [(day, floors) for (name, day), floors in self._floors.items() if name == sku and floors]
            before = [self._capacity(sku, location, day) for day, _ in kept]
            self.taken[place] += sign * units
            if supply:
                peg(self._days_at(place), supply, needed_by, sign * units)
            else:
                self._on_hand[place] += sign * units
            for (day, floors), units_before in zip(kept, before, strict=True):
                floors.draw(location, units_before - self._capacity(sku, location, day))

    def fill(self, line: ReserveLine, quantity: int) -> Draws:
        """Draw by rank until the quantity is met or nothing is left."""
        draws: Draws = []
        for location in self.places(line):
            if units := min(quantity, self.free(line.sku, location, line.needed_by)):
                draws += self.take(line.sku, location, units, line.needed_by)
                quantity -= units
        return draws

    def shortfalls(self, lines: list[ReserveLine], *, split: bool) -> list[Shortfall]:
        """Lines that cannot be met; located lines draw first, since they have no other place to go."""
        self.begin()
        self._split = split
        found: dict[int, Shortfall] = {}
        for index, line in _located(lines):
            available = self.free(line.sku, line.location, line.needed_by)
            if available < line.quantity:
                found[index] = self.shortfall(index, line, available)
            else:
                self.take(line.sku, line.location, line.quantity, line.needed_by)
        together = "" if split else self._best_location(lines)
        for index, line in _open(lines):
            if split:
                draws = self.fill(line, line.quantity)
            else:
                units = min(line.quantity, self._at_together(line, together))
                draws = self.take(line.sku, together, units, line.needed_by)
            available = sum(units for _, units, _ in draws)
            if available < line.quantity:
                self._draw(line.sku, line.needed_by, draws, -1)
                found[index] = self.shortfall(index, line, available)
        return [found[index] for index in sorted(found)]

    def shortfall(self, index: int, line: ReserveLine, available: int) -> Shortfall:
        """One refused line: what it could be granted, who holds the rest, and where else there is some."""
        asked = [line.location] if line.location else self.places(line)
        held = sum(self.batch.balance(line.sku, at).held for at in asked)
        everywhere = self.batch.ranked(line.sku, self.channel)
        others = [(at, units) for at in everywhere if at not in asked and (units := self.free(line.sku, at)) > 0]
        expiry = self.batch.earliest_expiry(line.sku)
        day = self._promise_date(line, asked)
        return Shortfall(index, line.sku, line.quantity, available, held, others[:OTHERS_MAX], expiry, day)

    def _promise_date(self, line: ReserveLine, asked: list[str]) -> str:
        """The first day for which the whole line is possible, or ""; only days of supply make more possible."""
        for day in sorted({day for at in asked for day in self._days_at((line.sku, at))}):
            if self._split or line.location:
                draws = [self.take(line.sku, at, self.free(line.sku, at, day), day) for at in asked]
                units = sum(units for drawn in draws for _, units, _ in drawn)
                for drawn in draws:
                    self._draw(line.sku, day, drawn, -1)
            else:
                units = max((self.free(line.sku, at, day) for at in asked), default=0)
            if units >= line.quantity:
                return day
        return ""

    def draw(self, lines: list[ReserveLine], *, split: bool) -> list[Draws]:
        """Where each line draws: everything where it can be had, else what there is."""
        self.begin()
        drawn: list[Draws] = [[] for _ in lines]
        for index, line in _located(lines):
            units = min(line.quantity, self.free(line.sku, line.location, line.needed_by))
            drawn[index] = self.take(line.sku, line.location, units, line.needed_by)
        if not any(True for _ in _open(lines)):
            return drawn
        together = self._one_location(lines) or ("" if split else self._best_location(lines))
        for index, line in _open(lines):
            at = together or (self._whole(line) if split else "")
            if at:
                units = min(line.quantity, self._at_together(line, at))
                drawn[index] = self.take(line.sku, at, units, line.needed_by)
            elif split:
                drawn[index] = self.fill(line, line.quantity)
        return drawn

    def begin(self) -> None:
        """Read anew, as if nothing were taken."""
        for state in (self.taken, self._on_hand, self._floors, self._days):
            state.clear()

    def _capacity(self, sku: str, location: str, day: str) -> int:
        """Units that may be promised for a day as the basket leaves the position; claims and caps apart."""
        place = (sku, location)
        free = self.batch.balance(sku, location).free + self._given_back[place] - self._on_hand[place]
        return max(0, lowest(free, self._days_at(place), day, self.batch.now))

    def _reading(self, sku: str, location: str, day: str) -> int:
        """The same before the basket drew anything."""
        place = (sku, location)
        free = self.batch.balance(sku, location).free + self._given_back[place]
        return max(0, lowest(free, self._supply(place), day, self.batch.now))

    def _days_at(self, place: tuple[str, str]) -> dict[str, Day]:
        if place not in self._days:
            self._days[place] = self._supply(place)
        return self._days[place]

    def _supply(self, place: tuple[str, str]) -> dict[str, Day]:
        """Supply at a position, with what a replaced hold gives back."""
        item = self.batch.state.skus.get(place[0])
        position = item.positions.get(place[1]) if item else None
        days = deepcopy(position.supply) if position else {}
        for supply, needed_by, units in self._pegs_back[place]:
            peg(days, supply, needed_by, -units)
        return days

    def _unclaimed(self, sku: str, location: str, day: str) -> int | None:
        """Units here that no other seller has a claim on for a day, None where nobody has any."""
        floors = self._floors_of(sku, day)
        return floors.left(location) if floors else None

    def _at_together(self, line: ReserveLine, location: str) -> int:
        return self.free(line.sku, location, line.needed_by) if location in self.places(line) else 0

    def _one_location(self, lines: list[ReserveLine]) -> str:
        """The first location by rank that covers all lines that name none, or ""."""
        opened = [line for _, line in _open(lines)]
        needed: dict[str, int] = defaultdict(int)
        for line in opened:
            needed[line.sku] += line.quantity
        for at in self.places(opened[0]):
            if all(
                at in self.places(line) and self.free(line.sku, at, line.needed_by) >= needed[line.sku]
                for line in opened
            ):
                return at
        return ""

    def _best_location(self, lines: list[ReserveLine]) -> str:
        """The location that grants most units of the lines that name none; ties by rank, and "" if there is none."""
        opened = [line for _, line in _open(lines)]
        best, most = "", 0
        for at in self.batch.by_rank({at for line in opened for at in self.places(line)}):
            needed: dict[str, tuple[int, str]] = {}
            for line in reversed(opened):  # the earliest day of a sku is that of its first line
                if at in self.places(line):
                    needed[line.sku] = (needed.get(line.sku, (0, ""))[0] + line.quantity, line.needed_by)
            units = sum(min(quantity, self.free(sku, at, day)) for sku, (quantity, day) in needed.items())
            if units > most:
                best, most = at, units
        return best

    def _whole(self, line: ReserveLine) -> str:
        return next((at for at in self.places(line) if self._at_together(line, at) >= line.quantity), "")

    def _cap(self, sku: str) -> int | None:
        """What is left of the seller's ceiling; a campaign has nothing of a sku that is not part of it (R23)."""
        item = self.batch.state.skus.get(sku)
        share = item.sellers.get(self.seller) if item else None
        if not self._capped:
            return None
        if share is None:
            return 0 if self.seller.startswith(SEPARATOR) else None
        if share.cap == NO_CAP:
            return None
        return share.cap - share.used + self._returned[self.seller, sku]

    def _floors_of(self, sku: str, day: str) -> Floors | None:
        """The claims of the sku's sellers for a day as this basket met them, or None where nobody has any."""
        if (sku, day) not in self._floors:
            item = self.batch.state.skus.get(sku) or Sku()
            ranked = [self._protected(sku, name, item.sellers[name]) for name in self._ranked_sellers(item)]
            free = {at: self._reading(sku, at, day) for at in self.batch.by_rank(item.positions)}
            self._floors[sku, day] = floors = Floors(free, ranked, self.seller) if ranked else None
            if floors:
                for at, units in free.items():
                    floors.draw(at, units - self._capacity(sku, at, day))
        return self._floors[sku, day]

    def _ranked_sellers(self, item: Sku) -> list[str]:
        """Sellers with a floor: campaigns before channels (R23), then by priority and id."""
        names = [name for name, share in item.sellers.items() if share.protection > 0]
        campaigns = sorted(name for name in names if name.startswith(SEPARATOR))
        channels = sorted((self.batch.channel(n).priority, n) for n in names if not n.startswith(SEPARATOR))
        return campaigns + [name for _, name in channels]

    def _protected(self, sku: str, name: str, share: Seller) -> Protected:
        want = max(0, share.protection - share.used + self._returned[name, sku])
        channels = [name]
        if name.startswith(SEPARATOR):
            policy = self.batch.campaign(name[1:])
            channels = policy.channels if policy else []
        positions = self.batch.sku(sku).positions
        sold_at = [at for at in positions if not channels or any(self.batch.sells_at(c, at) for c in channels)]
        return Protected(name, want, frozenset(sold_at))


def _located(lines: list[ReserveLine]) -> list[tuple[int, ReserveLine]]:
    return _by_day((index, line) for index, line in enumerate(lines) if line.location)


def _open(lines: list[ReserveLine]) -> list[tuple[int, ReserveLine]]:
    return _by_day((index, line) for index, line in enumerate(lines) if not line.location)


def _by_day(lines: Iterable[tuple[int, ReserveLine]]) -> list[tuple[int, ReserveLine]]:
    return sorted(lines, key=lambda each: each[1].needed_by)
