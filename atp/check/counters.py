"""Counters: what each record adds to them. A counter and its records are two ways to the same number."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from msgspec import Struct, field

from atp.check import stored
from atp.domain.records import Leg, Line, Reservation, Version
from atp.domain.repair_commands import Counter, at_version, version_in
from atp.domain.sellers import SEPARATOR, seller_name
from atp.domain.state import Position
from atp.domain.tallies import standing


class Key(NamedTuple):
    """One counter: of a position, a sku, or a customer, as Repair and Correction name it."""

    counter: Counter
    sku: str = ""
    location: str = ""
    name: str = ""


#: A counter and the units that a record adds to it.
Part = tuple[Key, int]


class Since(Struct):
    """From which seq on sales count: of a seller of a sku, and of a campaign that is not over.

    And up to which version a source counts acknowledged units of a position.
    """

    sellers: dict[tuple[str, str], int] = field(default_factory=dict)
    campaigns: dict[str, int] = field(default_factory=dict)
    versions: dict[tuple[str, str, str], Version] = field(default_factory=dict)  # by sku, location and source

    def counts(self, key: Key, first_seq: int) -> bool:
        """Whether a reservation made at ``first_seq`` adds to the counter."""
        if key.counter == "used":
            since = self.sellers.get((key.sku, key.name))
        elif key.counter == "buyers":
            since = self.campaigns.get(key.name.partition(SEPARATOR)[0])
        else:
            return True
        return since is not None and first_seq > since

    def placed(self, key: Key) -> Key:
        """Units that a source counts from a version on are among those it counts, once it has a level of then."""
        if key.counter != "pending":
            return key
        source, version = version_in(key.name)
        known = self.versions.get((key.sku, key.location, source))
        return source_of(key) if known is not None and version <= known else key


def source_of(key: Key) -> Key:
    """Of units that a source will count, the counter of those that it counts already; any other key itself."""
    if key.counter != "pending":
        return key
    return Key("included", key.sku, key.location, version_in(key.name)[0])


Here = Callable[[str], bool]


def of_reservation(r: Reservation, here: Here) -> Iterator[Part]:
    """What a reservation adds to counters of skus that live in this partition."""
    seller = seller_name(r.channel, r.campaign)
    for line in r.lines:
        if not here(line.sku):
            continue
        held = sum(a.held for a in line.allocations)
        sold = held + sum(a.committed + a.fulfilled for a in line.allocations)
        yield from _of_positions(line)
        if sold:
            yield Key("used", line.sku, "", seller), sold
        if r.customer and held:
            yield Key("holding", "", "", r.channel + SEPARATOR + r.customer), held
        if r.customer and r.campaign and sold:
            yield Key("buyers", line.sku, "", r.campaign + SEPARATOR + r.customer), sold


def of_leg(leg: Leg, here: Here) -> Iterator[Part]:
    """What a leg adds: as a reservation, and as tentative units while home has not decided."""
    yield from of_reservation(leg.reservation(), here)
    if leg.seq:
        return
    seller = seller_name(leg.channel, leg.campaign)
    for line in leg.lines:
        for a in line.allocations:
            if a.held:
                yield Key("contended", line.sku, a.location), a.held
                yield Key("contended", line.sku, "", seller), a.held


def of_supply(sku: str, location: str, day: str, left: int) -> Iterator[Part]:
    """What a delivery adds."""
    if left:
        yield Key("quantity", sku, location, day), left


def in_position(sku: str, location: str, position: Position) -> Iterator[Part]:
    """The counters that a position's record keeps."""
    yield Key("held", sku, location), position.held
    yield Key("committed", sku, location), position.committed
    for name, day in position.supply.items():
        yield Key("quantity", sku, location, name), day.quantity
        yield Key("pegged", sku, location, name), day.pegged
        yield Key("due", sku, location, name), day.due
    for source, known in position.sources.items():
        if known.included:
            yield Key("included", sku, location, source), known.included
        for version, units in known.pending.items():
            yield Key("pending", sku, location, at_version(source, version)), units


def contended(field: bytes) -> Key:
    """The counter behind a field of hash ``contended``: by position, or by seller and sku behind RS."""
    first, second = stored.place(field)
    return Key("contended", second, "", first[1:]) if first.startswith("\x1e") else Key("contended", first, second)


def _of_positions(line: Line) -> Iterator[Part]:
    for a in line.allocations:
        for tally in [tally for tally in a.tallies if tally.source]:
            for version, units in standing(a, tally).live:
                yield Key("pending", line.sku, a.location, at_version(tally.source, version)), units
        live = a.held + a.committed
        if not live:
            continue
        if a.supply:
            yield Key("pegged", line.sku, a.location, a.supply), live
            yield Key("due", line.sku, a.location, line.needed_by), live
        else:
            if a.held:
                yield Key("held", line.sku, a.location), a.held
            if a.committed:
                yield Key("committed", line.sku, a.location), a.committed
