"""Saving: the newest states that a batch of entries leaves, table by table."""

from collections.abc import Mapping

from asyncpg import UniqueViolationError

from atp.journal.connections import Connection
from atp.journal.rows import RESERVATION_COLUMNS, Rows


class NotNew(Exception):
    """A reservation that begins in the batch is there already; the transaction is lost, and an upsert would do."""


async def save(
    connection: Connection, sql: Mapping[str, str], partition: int, rows: Rows, timeout: float, *, copied: bool
) -> None:
    """Write ``rows``, but for the entries. Tables that the batch does not touch cost no round trip.

    ``copied``: reservations that begin here are taken to be new, as they are unless somebody wrote to the tables
    besides us; copying costs half of what an upsert does. Raises NotNew where one is not.
    """
    begun = set(rows.begun) if copied else set()
    if begun:
        try:
            await connection.copy_records_to_table(
                "reservations", records=rows.begun_records(partition), columns=RESERVATION_COLUMNS, timeout=timeout
            )
        except UniqueViolationError as problem:
            raise NotNew(str(problem)) from problem
    changed = [record for key, record in rows.reservations.items() if key not in begun]
    if changed:
        await connection.execute(
            sql["save_reservations"], partition, *rows.reservation_columns(changed), timeout=timeout
        )
    if rows.begun:
        ids, first_seqs = zip(*rows.begun, strict=True)
        await connection.execute(sql["note_late_duplicates"], partition, ids, first_seqs, timeout=timeout)
    if rows.raised:
        await connection.execute(sql["raise_exceptions"], partition, *rows.raised_columns(), timeout=timeout)
    if rows.resolved:
        await connection.execute(sql["resolve_exceptions"], partition, *rows.resolved_columns(), timeout=timeout)
    if rows.levels:
        await connection.execute(sql["save_levels"], partition, *rows.level_columns(), timeout=timeout)
    if rows.policies:
        await connection.execute(sql["save_policies"], *rows.policy_columns(), timeout=timeout)
    if rows.positions:
        await connection.execute(sql["save_stream_positions"], partition, *rows.position_columns(), timeout=timeout)
