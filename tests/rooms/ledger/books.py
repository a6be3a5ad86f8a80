"""All partitions of a ledger at once, read from the keys themselves, and what must always hold between them."""

from typing import Any

import msgspec
from msgspec import Struct

from atp.domain.ids import partition_of
from atp.domain.records import Leg, Line, Reservation
from atp.ledger import Ledger, keys
from tests.support import connected

Units = dict[tuple[str, str], tuple[int, int]]  # (sku, location) → held, committed

_unpack = msgspec.msgpack.decode


class Books(Struct):
    """What one partition has."""

    positions: Units
    records: dict[str, Reservation]
    legs: dict[str, Leg]
    loose: dict[str, Any]  # undecided, contended, following, open baskets: nothing of it lasts


async def read_books(ledger: Ledger) -> list[Books]:
    """Every partition, one after the other: call it when nothing is under way."""
    connection = await connected(ledger.settings.url)
    found = []
    for partition in range(ledger.partitions):
        prefix = keys.prefix(ledger.settings.namespace, partition)

        async def fields(key: str, prefix: str = prefix) -> dict[str, bytes]:
            flat = await connection.ask("HGETALL", prefix + key)
            return {k.decode(): v for k, v in zip(flat[::2], flat[1::2], strict=True)}

        positions = {}
        for name, stored in (await fields("pos")).items():
            sku, location = name.split("\0")
            positions[sku, location] = tuple(_unpack(stored)[1:3])
        records = {}
        for identity, stored in (await fields("res")).items():
            if stored[0] == 0xDC:  # whole
                r = _unpack(stored)
                records[r[15] + identity] = msgspec.convert([r[15] + identity, *r[1:15]], Reservation)
        legs = {id: msgspec.convert([id, *_unpack(v)[1:]], Leg) for id, v in (await fields("legs")).items()}
        loose = {
            "undecided": await connection.ask("ZRANGE", prefix + "undecided", 0, -1),
            "contended": await fields("contended"),
            "following": await fields("following"),
            "open": [name for name, v in (await fields("baskets")).items() if _unpack(v)[5]],
        }
        found.append(Books(positions, records, legs, loose))
    await connection.end()
    return found


def check_conserved(books: list[Books]) -> None:
    """Every partition holds exactly the units of its own records and of its legs."""
    for partition, book in enumerate(books):
        expected: dict[tuple[str, str], list[int]] = {}
        for line in [x for r in [*book.records.values(), *book.legs.values()] for x in r.lines]:
            if partition_of(line.sku, len(books)) != partition:
                continue
            for a in line.allocations:
                units = expected.setdefault((line.sku, a.location), [0, 0])
                units[0] += a.held
                units[1] += a.committed
        live = {place: tuple(units) for place, units in expected.items() if any(units)}
        assert {place: units for place, units in book.positions.items() if any(units)} == live


def check_settled(books: list[Books]) -> None:
    """Nothing is under way any more: legs are what the records at home say, and there is no leg without one."""
    check_conserved(books)
    expected: list[dict[str, list[Line]]] = [{} for _ in books]
    for home, book in enumerate(books):
        assert not any(book.loose.values()), book.loose
        for id, record in book.records.items():
            for line in record.lines:
                at = partition_of(line.sku, len(books))
                if at != home:
                    expected[at].setdefault(id, []).append(line)
    for book, legs in zip(books, expected, strict=True):
        live = {id: x for id, x in legs.items() if any(a.held or a.committed for y in x for a in y.allocations)}
        assert {id: leg.lines for id, leg in book.legs.items()} == live
