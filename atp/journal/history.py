"""History: reservations that are looked for, and what happened to something or by somebody, newest first, by page.

A page ends at a place in an order that new rows do not change, so nothing is shown twice or left out while they come
(R36). What an entry changed is told by the one before it about the same thing, which is looked for in the journal too.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any

from msgspec import Meta, Struct, json

from atp.domain.entries import AnyEntry, LevelSet, PolicyPut, ReturnTaken, StatusSet, SupplyReceived
from atp.domain.entry import counted_source
from atp.domain.records import Reservation
from atp.journal.connections import Connection
from atp.journal.rows import instant

#: Entries about the same that are looked through for the one before.
LOOK_BACK = 1_000

_MS = timedelta(milliseconds=1)
_EPOCH = instant(0)

#: Kinds between commas that change the same thing.
_NUMBER = "level-set,delta-applied,supply-received,return-taken,adjusted"
_RESERVATION = "held,committed,released,extended,expired,fulfilled,acknowledged,transferred"

_decode_entry = json.Decoder(AnyEntry).decode
_decode_reservation = json.Decoder(Reservation).decode


class Asked(Struct, frozen=True):
    """Which reservations; "" is any. ``channels`` None is all."""

    order_ref: str = ""
    sku: str = ""
    state: str = ""
    channels: list[str] | None = None


class Place(Struct, frozen=True, array_like=True):
    """Where a page ended: the last entry, or the last reservation with its first seq. The next page begins behind."""

    at: Annotated[int, Meta(ge=0, le=1 << 47)]  # ms
    seq: Annotated[int, Meta(ge=0, le=1 << 62)]
    partition: Annotated[int, Meta(ge=0, le=4096)]
    id: str = ""


class FoundReservation(Struct, frozen=True):
    """A reservation as it was journaled last."""

    partition: int
    place: Place
    record: Reservation


class Happened(Struct, frozen=True):
    """An entry, and the one before it about the same thing where there is one."""

    partition: int
    kind: str
    subject: str
    entry: AnyEntry
    before: AnyEntry | None = None

    @property
    def place(self) -> Place:
        return Place(self.entry.at, self.entry.seq, self.partition)


async def search(
    connection: Connection, sql: Mapping[str, str], asked: Asked, after: Place | None, limit: int
) -> list[FoundReservation]:
    """Reservations, newest first. Of an id that was used twice both are there (R18)."""
    at, id, first_seq = (instant(after.at), after.id, after.seq) if after else (None, "", 0)
    common = (asked.state, asked.channels, at, id, first_seq, limit)
    if asked.order_ref:
        rows = await connection.fetch(sql["search_order"], *common, asked.sku, asked.order_ref)
    elif asked.sku:
        rows = await connection.fetch(sql["search_sku"], *common, asked.sku)
    else:
        rows = await connection.fetch(sql["search_newest"], *common)
    return [
        FoundReservation(
            row["partition"],
            Place(_ms(row["created_at"]), row["first_seq"], row["partition"], row["id"]),
            _decode_reservation(row["body"]),
        )
        for row in rows
    ]


async def about(
    connection: Connection,
    sql: Mapping[str, str],
    partition: int,
    subject: str,
    kinds: Sequence[str],
    after: Place | None,
    limit: int,
) -> list[Happened]:
    """What happened to one thing in its partition, newest first."""
    rows = await connection.fetch(
        sql["entries_about"], partition, subject, list(kinds) or None, after.seq if after else 0, limit
    )
    return await _with_before(connection, sql, rows)


async def by_client(
    connection: Connection,
    sql: Mapping[str, str],
    client: str,
    kinds: Sequence[str],
    after: Place | None,
    limit: int,
) -> list[Happened]:
    """What one client did, newest first."""
    at, partition, seq = (instant(after.at), after.partition, after.seq) if after else (None, 0, 0)
    rows = await connection.fetch(sql["entries_of_client"], client, list(kinds) or None, at, partition, seq, limit)
    return await _with_before(connection, sql, rows)


async def _with_before(connection: Connection, sql: Mapping[str, str], rows: Iterable[Any]) -> list[Happened]:
    found = [Happened(row["partition"], row["kind"], row["subject"], _decode_entry(row["body"])) for row in rows]
    wanted = [
        (each.partition, each.entry.seq, each.subject, *compared)
        for each in found
        if (compared := _compared_with(each))
    ]
    if not wanted:
        return found
    columns = [list(column) for column in zip(*wanted, strict=True)]
    before = {
        (row["partition"], row["seq"]): _decode_entry(row["body"])
        for row in await connection.fetch(sql["entries_before"], *columns, LOOK_BACK)
    }
    return [
        Happened(each.partition, each.kind, each.subject, each.entry, before.get((each.partition, each.entry.seq)))
        for each in found
    ]


def _compared_with(each: Happened) -> tuple[str, str, str] | None:
    """Kinds of the entry before, its location and its source, if the entry itself does not say what it changed."""
    match each.entry:
        case LevelSet() | SupplyReceived() | ReturnTaken() as e:
            return _NUMBER, e.location, counted_source(e)
        case StatusSet() as e:
            return "status-set,return-taken", e.location, e.source
        case PolicyPut():
            return "policy-put", "", ""
        case e if hasattr(e, "reservation") and each.kind in _RESERVATION.split(","):
            return _RESERVATION, "", ""
        case _:
            return None


def _ms(at: datetime) -> int:
    return (at - _EPOCH) // _MS
