"""Counters: what each record adds to them. A counter and its records are two ways to the same number."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from msgspec import Struct, field

from atp.check import stored
from atp.domain.records import Leg, Line, Reservation
from atp.domain.repair_commands import Counter
from atp.domain.sellers import SEPARATOR, seller_name
from atp.domain.state import Position


class Key(NamedTuple):
    """One counter: of a position, a sku, or a customer, as Repair and Correction name it."""

    counter: Counter
    sku: str = ""
    location: str = ""
    name: str = ""


#: A counter and the units that a record adds to it.
Part = tuple[Key, int]


class Since(Struct):
    """From which seq on sales count: of a seller of a sku, and of a campaign that is not over."""

    sellers: dict[tuple[str, str], int] = field(default_factory=dict)
    campaigns: dict[str, int] = field(default_factory=dict)

    def counts(self, key: Key, first_seq: int) -> bool:
        """Whether a reservation made at ``first_seq`` adds to the counter."""
        if key.counter == "used":
            since = self.sellers.get((key.sku, key.name))
        elif key.counter == "buyers":
            since = self.campaigns.get(key.name.partition(SEPARATOR)[0])
        else:
            return True
        return since is not None and first_seq > since


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


def contended(field: bytes) -> Key:
    """The counter behind a field of hash ``contended``: by position, or by seller and sku behind RS."""
    first, second = stored.place(field)
    return Key("contended", second, "", first[1:]) if first.startswith("\x1e") else Key("contended", first, second)


def _of_positions(line: Line) -> Iterator[Part]:
    for a in line.allocations:
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
