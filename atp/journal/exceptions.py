"""Exceptions as people look through them: newest first, by page."""

from collections.abc import Mapping

from msgspec import Struct

from atp.journal.connections import Connection


class ExceptionRow(Struct, frozen=True):
    """One exception. ``seq`` is the entry that raised it in its partition; None for what the journal found itself."""

    id: int
    kind: str
    partition: int
    seq: int | None
    at: int  # ms
    sku: str
    location: str
    source: str
    reservation: str
    detail: str  # JSON text
    resolved_at: int | None = None  # ms
    resolution: str | None = None
    resolved_by: str | None = None
    reason: str | None = None


async def find(
    connection: Connection, sql: Mapping[str, str], kind: str, *, open: bool | None, before: int, limit: int
) -> list[ExceptionRow]:
    """Up to ``limit`` exceptions with an id below ``before`` (0 for the newest), of one kind or (``""``) of all."""
    rows = await connection.fetch(sql["exceptions"], kind, open, before, limit)
    return [_row(row) for row in rows]


async def get(connection: Connection, sql: Mapping[str, str], id: int) -> ExceptionRow | None:
    """One exception."""
    row = await connection.fetchrow(sql["exception"], id)
    return None if row is None else _row(row)


def _row(row: Mapping[str, object]) -> ExceptionRow:
    return ExceptionRow(**row)  # pyright: ignore[reportArgumentType] - the query's columns are the fields
