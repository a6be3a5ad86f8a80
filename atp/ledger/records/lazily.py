"""Decoding a baseline lazily: of what there are many, only what is asked for (``lazy``)."""

from collections.abc import Iterator
from typing import Any, cast

import msgspec
from msgspec import Raw, Struct

from atp.domain.records import Reservation
from atp.domain.state import Order, Position, Sku, Tombstone
from atp.ledger.records.decoding import (
    TAKE,
    Decoding,
    RecordsCorrupt,
    decode_order,
    decode_reservation,
    decode_tombstone,
    remember,
)
from atp.ledger.records.encoding import WHOLE
from atp.ledger.records.lazy import Lazy, stored_pages
from atp.ledger.records.page import Page
from atp.ledger.records.stock import decode_position, decode_sku


class LazyDecoding(Decoding):
    """``take`` every page, then ``finish``: a state that is encoded as fast as it is copied, where nothing changed.

    A record that is no record is found when it is asked for. Raises RecordsCorrupt.
    """

    def __init__(self) -> None:
        super().__init__()
        self.takes = _LAZILY
        self.stock = Stock()
        self.reservations = Lazy[Reservation]("res", decode_reservation)
        self.tombstones = Lazy[Tombstone]("res", decode_tombstone)
        self.orders = Lazy[Order]("orders", decode_order)
        self.due = Lazy[int]("due", lambda _, score: int(score), "zset")
        for name, records in (
            ("skus", self.stock), ("reservations", self.reservations), ("tombstones", self.tombstones),
            ("orders", self.orders), ("due", self.due),
        ):  # fmt: skip
            setattr(self.state, name, cast(dict[str, Any], records))

    def _misplaced(self) -> Iterator[str]:
        listed, found = self.stock.listed(), len(self.stock.positions)
        if listed != found:
            yield f"the skus' records list {listed} positions, there are {found}"


class Stock(Lazy[Sku]):
    """Skus with their positions, which are records of their own."""

    def __init__(self) -> None:
        super().__init__("sku", self._sku)
        self.positions: dict[bytes, bytes] = {}  # by sku NUL location
        self.places: dict[bytes, bytes] = {}  # by sku, of those that have many
        self.recent: dict[str, list[Page]] = {}  # by sku NUL location NUL source

    def pages(self) -> Iterator[Page]:
        yield from super().pages()
        yield from stored_pages("pos", self.positions)
        yield from stored_pages("places", self.places)
        for pages in self.recent.values():
            yield from pages

    def listed(self) -> int:
        """How many positions the records of the skus speak of."""
        places = (_listing(stored).places for stored in self.stored.values())
        inside = sum(text.count("\0") + 1 for text in places if text and text != "+")
        return inside + sum(text.count(b"\0") + 1 for text in self.places.values())

    def _sku(self, sku: str, stored: bytes) -> Sku:
        item = Sku()
        places = decode_sku(item, stored)
        if places == "+":
            places = self.places.pop(sku.encode()).decode()
        for at in filter(None, places.split("\0")):
            item.positions[at] = self._position(sku, at)
        return item

    def _position(self, sku: str, at: str) -> Position:
        position, stored = Position(), self.positions.pop(f"{sku}\0{at}".encode(), None)
        if stored is None:
            raise RecordsCorrupt(f"sku {sku}: its record lists {at}, where it has no position")
        decode_position(position, stored)
        for source in position.sources:
            for page in self.recent.pop(f"{sku}\0{at}\0{source}", ()):
                remember(position, source, page.items)
        return position


class _Listing(Struct, array_like=True):
    """A sku's record up to its locations; what follows is skipped."""

    format: int
    seq: int
    policy_version: int
    policy: str
    safety_stock: int
    safety_stock_by_location: Raw
    places: str


_listing = msgspec.msgpack.Decoder(_Listing).decode


def _pairs(items: list[bytes]) -> Iterator[tuple[bytes, bytes]]:
    return zip(items[::2], items[1::2], strict=True)


def _sku(d: LazyDecoding, _: str, items: list[bytes]) -> None:
    d.stock.stored.update(_pairs(items))


def _pos(d: LazyDecoding, _: str, items: list[bytes]) -> None:
    d.stock.positions.update(_pairs(items))


def _places(d: LazyDecoding, _: str, items: list[bytes]) -> None:
    d.stock.places.update(_pairs(items))


def _recent(d: LazyDecoding, place: str, items: list[bytes]) -> None:
    d.stock.recent.setdefault(place, []).append(Page(f"recent:{place}", "hash", items))


def _res(d: LazyDecoding, _: str, items: list[bytes]) -> None:
    whole, ended = d.reservations.stored, d.tombstones.stored
    for identity, stored in _pairs(items):
        (whole if stored[0] == WHOLE[0] else ended)[identity] = stored


def _orders(d: LazyDecoding, _: str, items: list[bytes]) -> None:
    d.orders.stored.update(_pairs(items))


def _due(d: LazyDecoding, _: str, items: list[bytes]) -> None:
    d.due.stored.update(zip(items[1::2], items[::2], strict=True))


_LAZILY: dict[str, Any] = {
    **TAKE, "sku": _sku, "pos": _pos, "places": _places, "recent": _recent, "res": _res, "orders": _orders, "due": _due,
}  # fmt: skip
