"""Sourcing: where the lines of a basket draw (R38), and how much their seller may draw there (R11, R32).

Lines that name a location draw there. The others, within the channel's locations and the group they name: the first
location by rank that covers all of them, else per line the first that covers it whole, else filled by rank.
``allow_split: false`` permits only the first.
"""

from collections import defaultdict

from atp.domain.commands import ReserveLine
from atp.domain.records import Reservation, Shortfall
from atp.domain.rules.batch import Batch
from atp.domain.rules.floors import Floors, Protected
from atp.domain.sellers import SEPARATOR, seller_name
from atp.domain.state import NO_CAP, Seller, Sku

#: Other locations named in a refusal.
OTHERS_MAX = 10

Draws = list[tuple[str, int]]


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
        self._floors: dict[str, Floors | None] = {}

    def give_back(self, reservation: Reservation) -> None:
        """Count the held units of a reservation that is to be replaced as free (R37)."""
        name = seller_name(reservation.channel, reservation.campaign)
        for line in reservation.lines:
            if line.sku in self.batch.foreign:
                continue
            share = self.batch.sku(line.sku).sellers.get(name)
            for a in line.allocations:
                self._given_back[line.sku, a.location] += a.held
                if share and reservation.first_seq > share.since:
                    self._returned[name, line.sku] += a.held

    def move_away(self, sku: str, location: str, quantity: int) -> None:
        """Count units as free that a transfer is about to take away from a location."""
        self._given_back[sku, location] += quantity

    def places(self, line: ReserveLine) -> list[str]:
        """Where an open line may draw, best rank first."""
        return self.batch.ranked(line.sku, self.channel, line.location_group)

    def give_back_sold(self, seller: str, sku: str, units: int) -> None:
        """Count units as not sold through a seller."""
        self._returned[seller, sku] += units

    def free(self, sku: str, location: str) -> int:
        """Units that may be drawn here: free ones, unless other sellers have a claim on them or the cap is reached."""
        policy = self.batch.location(location)
        if policy is None or not policy.active:
            return 0
        limits = [self._free(sku, location) - self.taken[sku, location]]
        if (floors := self._floors_of(sku)) and (left := floors.left(location)) is not None:
            limits.append(left)
        if (cap := self._cap(sku)) is not None:
            limits.append(cap - sum(units for (name, _), units in self.taken.items() if name == sku))
        return max(0, min(limits))

    def take(self, sku: str, location: str, quantity: int) -> Draws:
        """Draw from one location; nothing is no draw."""
        self.taken[sku, location] += quantity
        if floors := self._floors_of(sku):
            floors.draw(location, quantity)
        return [(location, quantity)] if quantity else []

    def fill(self, line: ReserveLine, quantity: int) -> Draws:
        """Draw by rank until the quantity is met or nothing is left."""
        draws: Draws = []
        for location in self.places(line):
            if units := min(quantity, self.free(line.sku, location)):
                draws += self.take(line.sku, location, units)
                quantity -= units
        return draws

    def shortfalls(self, lines: list[ReserveLine], *, split: bool) -> list[Shortfall]:
        """Lines that cannot be met; located lines draw first, since they have no other place to go."""
        self.begin()
        found: dict[int, Shortfall] = {}
        for index, line in _located(lines):
            available = self.free(line.sku, line.location)
            if available < line.quantity:
                found[index] = self.shortfall(index, line, available)
            else:
                self.take(line.sku, line.location, line.quantity)
        together = "" if split else self._best_location(lines)
        for index, line in _open(lines):
            if split:
                draws = self.fill(line, line.quantity)
            else:
                draws = self.take(line.sku, together, min(line.quantity, self._at_together(line, together)))
            available = sum(units for _, units in draws)
            if available < line.quantity:
                for at, units in draws:
                    self.take(line.sku, at, -units)
                found[index] = self.shortfall(index, line, available)
        return [found[index] for index in sorted(found)]

    def shortfall(self, index: int, line: ReserveLine, available: int) -> Shortfall:
        """One refused line: what it could be granted, who holds the rest, and where else there is some."""
        asked = [line.location] if line.location else self.places(line)
        held = sum(self.batch.balance(line.sku, at).held for at in asked)
        everywhere = self.batch.ranked(line.sku, self.channel)
        others = [(at, units) for at in everywhere if at not in asked and (units := self.free(line.sku, at)) > 0]
        expiry = self.batch.earliest_expiry(line.sku)
        return Shortfall(index, line.sku, line.quantity, available, held, others[:OTHERS_MAX], expiry)

    def draw(self, lines: list[ReserveLine], *, split: bool) -> list[Draws]:
        """Where each line draws: everything where it can be had, else what there is."""
        self.begin()
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
                drawn[index] = self.take(line.sku, at, min(line.quantity, self._at_together(line, at)))
            elif split:
                drawn[index] = self.fill(line, line.quantity)
        return drawn

    def begin(self) -> None:
        """Read anew, as if nothing were taken."""
        self.taken.clear()
        self._floors.clear()

    def _free(self, sku: str, location: str) -> int:
        return max(0, self.batch.balance(sku, location).free + self._given_back[sku, location])

    def _at_together(self, line: ReserveLine, location: str) -> int:
        return self.free(line.sku, location) if location in self.places(line) else 0

    def _one_location(self, lines: list[ReserveLine]) -> str:
        """The first location by rank that covers all lines that name none, or ""."""
        opened = [line for _, line in _open(lines)]
        needed: dict[str, int] = defaultdict(int)
        for line in opened:
            needed[line.sku] += line.quantity
        for at in self.places(opened[0]):
            if all(at in self.places(line) and self.free(line.sku, at) >= needed[line.sku] for line in opened):
                return at
        return ""

    def _best_location(self, lines: list[ReserveLine]) -> str:
        """The location that grants most units of the lines that name none; ties by rank, and "" if there is none."""
        opened = [line for _, line in _open(lines)]
        best, most = "", 0
        for at in self.batch.by_rank({at for line in opened for at in self.places(line)}):
            needed: dict[str, int] = defaultdict(int)
            for line in opened:
                if at in self.places(line):
                    needed[line.sku] += line.quantity
            units = sum(min(quantity, self.free(sku, at)) for sku, quantity in needed.items())
            if units > most:
                best, most = at, units
        return best

    def _whole(self, line: ReserveLine) -> str:
        return next((at for at in self.places(line) if self.free(line.sku, at) >= line.quantity), "")

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

    def _floors_of(self, sku: str) -> Floors | None:
        """The claims of the sku's sellers as this basket met them, or None where nobody has any."""
        if sku not in self._floors:
            item = self.batch.state.skus.get(sku) or Sku()
            ranked = [self._protected(sku, name, item.sellers[name]) for name in self._ranked_sellers(item)]
            free = {at: self._free(sku, at) for at in self.batch.by_rank(item.positions)}
            self._floors[sku] = Floors(free, ranked, self.seller) if ranked else None
        return self._floors[sku]

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
    return [(index, line) for index, line in enumerate(lines) if line.location]


def _open(lines: list[ReserveLine]) -> list[tuple[int, ReserveLine]]:
    return [(index, line) for index, line in enumerate(lines) if not line.location]
