"""Baselines: whole states of a partition, so that a rebuild need not begin with the first entry (R20)."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from msgspec import Struct

from atp.journal.connections import Connections

#: Complete ones that are kept; the older one in case the newer one turns out to be damaged.
KEPT = 2

#: With the partition: any fixed number; every release must use the same.
LOCK_KEY = 7_203_115


class Baseline(Struct, frozen=True):
    """One complete baseline: the state after the entry ``seq``; times in ms."""

    partition: int
    seq: int
    epoch: int
    at: int  # of the ledger
    live: bool
    made_at: int


class Baselines:
    """All methods raise what the journal's do."""

    def __init__(self, connections: Connections, sql: Mapping[str, str]) -> None:
        self._connections = connections
        self._sql = sql

    async def newest(self, partition: int) -> Baseline | None:
        """The newest complete one."""
        async with self._connections.take() as connection:
            row = await connection.fetchrow(self._sql["newest_baseline"], partition)
        return Baseline(partition, *row) if row else None

    @asynccontextmanager
    async def making(self, partition: int) -> AsyncIterator[bool]:
        """Whether nobody else makes one of this partition; nobody will while the block runs."""
        async with self._connections.take() as connection:
            taken = bool(await connection.fetchval("select pg_try_advisory_lock($1, $2)", LOCK_KEY, partition))
            try:
                yield taken
            finally:
                if taken:
                    await connection.fetchval("select pg_advisory_unlock($1, $2)", LOCK_KEY, partition)

    async def begin(self, partition: int, seq: int, epoch: int, at: int, *, live: bool) -> None:
        """One that does not count until it is finished; unfinished ones are thrown away."""
        async with self._connections.take() as connection, connection.transaction():
            await connection.execute(self._sql["drop_unfinished_baselines"], partition, seq)
            await connection.execute(self._sql["begin_baseline"], partition, seq, epoch, at, live)

    async def write(self, partition: int, seq: int, page: int, body: bytes) -> None:
        """One page, counted from 0."""
        async with self._connections.take() as connection:
            await connection.execute(self._sql["save_baseline_page"], partition, seq, page, body)

    async def finish(self, partition: int, seq: int) -> None:
        """It counts from now on; older ones go, but for the last."""
        async with self._connections.take() as connection, connection.transaction():
            await connection.execute(self._sql["finish_baseline"], partition, seq)
            await connection.execute(self._sql["drop_old_baselines"], partition, KEPT)

    async def pages(self, baseline: Baseline) -> AsyncIterator[bytes]:
        """Its pages in order."""
        number = 0
        coming = asyncio.ensure_future(self._page(baseline, number))
        try:
            while (body := await coming) is not None:
                number += 1
                coming = asyncio.ensure_future(self._page(baseline, number))  # while the caller takes this one
                yield body
        finally:
            coming.cancel()

    async def _page(self, baseline: Baseline, number: int) -> bytes | None:
        async with self._connections.take() as connection:
            return await connection.fetchval(self._sql["baseline_page"], baseline.partition, baseline.seq, number)
