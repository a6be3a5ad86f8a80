"""Entries about orders, what was shipped, missed and came back; ``entries`` has them among all others."""

from msgspec import field

from atp.domain.entry import Entry
from atp.domain.order_commands import OrderLine, TellOrder
from atp.domain.records import Balance, Version


class OrderTold(Entry, array_like=True, tag=42):
    """A source said what became of an order; its stock and its reservations have entries of their own.

    ``left`` are units that no reservation had: they wait until ``until``, or are an exception at once if that is 0.
    """

    what: str
    reservation: str
    source: str
    order: str
    version: Version
    stream: str
    position: int
    as_of: int
    event: int
    shipment: int
    left: list[OrderLine]
    until: int
    waits: list[tuple[int, TellOrder]] = field(default_factory=list)  # if it is kept: until when, and what is left


class WaitingServed(Entry, array_like=True, tag=64):
    """A reservation took what was told of its order before it was made; ``waiting`` is what is still kept."""

    order: str
    waiting: list[tuple[int, TellOrder]]


class ShipmentNoted(Entry, array_like=True, tag=43):
    """Units left that the number may not show yet; negative ones are shown by the source's own word from now on."""

    sku: str
    location: str
    source: str  # who said so
    minute: int
    units: int
    balances: list[Balance]


class UnitsSetAside(Entry, array_like=True, tag=44):
    """Units were not on the shelf: the number counts them until a level that knows of it."""

    sku: str
    location: str
    source: str
    units: int
    version: Version
    minute: int
    event: int
    balances: list[Balance]


class OrderGivenUp(Entry, array_like=True, tag=45):
    """Nobody made the order that an event waited for."""

    order: str
    event: int


class ReturnTaken(Entry, array_like=True, tag=46):
    """Units came back; ``number`` and ``unsellable`` are what the source whose number it moves has now."""

    sku: str
    location: str
    source: str
    quantity: int
    sellable: bool
    order: str
    number: int
    unsellable: int
    version: Version
    stream: str
    position: int
    as_of: int
    event: int
    balances: list[Balance]
    of: str = ""  # the source whose number it is, where another one says so (R24)
