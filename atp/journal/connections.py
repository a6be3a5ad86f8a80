"""Connections to the journal's database: a small pool with a limit on every wait.

asyncpg waits for ever by default: for a free connection, for an answer, and, when giving a connection back, for a
cancelled query to end (research/reliability.md §6). Here each wait has a limit, and a connection that broke one is cut
instead of returned. The server has limits of its own, so that a stopped process cannot keep its locks.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import asyncpg
from asyncpg.pool import PoolConnectionProxy as Connection
from msgspec import Struct

from atp.journal.errors import JournalError, JournalUnavailable, JournalUnmigrated

_UNMIGRATED = (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError, asyncpg.UndefinedFunctionError)


class JournalSettings(Struct, frozen=True):
    """Where the journal is, and how long anything may take. Seconds."""

    url: str
    namespace: str = "atp"
    connections_max: int = 4  # the drainer and publisher of a partition, and a few reads
    connect_s: float = 2.0
    acquire_s: float = 2.0
    query_s: float = 5.0
    append_s: float = 15.0  # a whole batch; above a checkpoint's worst stall
    lock_s: float = 10.0  # for a row another process keeps; it keeps none longer than ``idle_transaction_s``
    idle_transaction_s: float = 5.0  # a stopped drainer loses its transaction, or its successor would wait for ever
    takeover_s: float = 1.0  # a claim waits so long for the writer before, which is cut off then
    close_s: float = 5.0


class Connections:
    """The pool. ``prepare`` is run once on every new connection."""

    def __init__(self, settings: JournalSettings, prepare: Callable[[Any], Awaitable[None]]) -> None:
        self._settings = settings
        self._prepare = prepare
        self._at = urlsplit(settings.url).netloc.rpartition("@")[2] or "its socket"  # for people: without the password
        self._pool: asyncpg.Pool | None = None

    async def open(self) -> None:
        """Make the pool; connections come when they are first needed."""
        s = self._settings
        self._pool = await asyncpg.create_pool(
            s.url,
            min_size=0,
            max_size=s.connections_max,
            timeout=s.connect_s,
            command_timeout=s.query_s,
            init=self._prepare,
            reset=_nothing_to_reset,
            server_settings={
                "application_name": f"atp {s.namespace}",
                "timezone": "UTC",
                "synchronous_commit": "on",  # a watermark that a power loss takes back would let the ledger forget
                "jit": "off",
                "lock_timeout": _milliseconds(s.lock_s),
                "statement_timeout": _milliseconds(s.append_s),
                "idle_in_transaction_session_timeout": _milliseconds(s.idle_transaction_s),
            },
        )

    async def close(self) -> None:
        """Give running queries a moment, then cut what is left."""
        pool, self._pool = self._pool, None
        if pool is None:
            return
        try:
            await asyncio.wait_for(pool.close(), self._settings.close_s)
        except TimeoutError:
            pool.terminate()

    @asynccontextmanager
    async def take(self) -> AsyncIterator[Connection]:
        """A connection for one task; what goes wrong with the server comes out as a JournalError."""
        if (pool := self._pool) is None:
            raise JournalUnavailable("the journal is not open")
        try:
            connection = await pool.acquire(timeout=self._settings.acquire_s)
        except JournalError:
            raise
        except Exception as error:
            problem = _as_journal_error(error)
            if isinstance(problem, JournalUnavailable):
                problem = JournalUnavailable(f"cannot use the journal at {self._at}: {problem}")
            raise problem from error
        try:
            yield connection
        except (TimeoutError, asyncio.CancelledError) as error:
            _cut(connection)  # its query may still be running
            if isinstance(error, TimeoutError):
                raise _as_journal_error(error) from error
            raise
        except asyncpg.InternalClientError as error:
            # The client's own confusion when the server ended the connection while this process was stopped.
            _cut(connection)
            raise JournalUnavailable(f"the connection is not usable any more: {error}") from error
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            raise _as_journal_error(error) from error
        finally:
            await self._give_back(pool, connection)  # also while ``close`` waits for it

    async def _give_back(self, pool: asyncpg.Pool, connection: Connection) -> None:
        try:
            await pool.release(connection, timeout=self._settings.query_s)
        except asyncpg.InternalClientError:
            return  # the server closed it a moment ago, and with that the pool has taken it back already
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
            _cut(connection)


def _cut(connection: Connection) -> None:
    with suppress(asyncpg.InterfaceError):  # the server was quicker: the pool has taken it back already
        connection.terminate()


def _as_journal_error(error: Exception) -> Exception:
    """The room's own error for what asyncpg raised; anything else is a fault of ours and stays itself."""
    if isinstance(error, _UNMIGRATED):
        return JournalUnmigrated(f"the schema does not fit this release, run `atp migrate`: {error}")
    if isinstance(error, TimeoutError):
        return JournalUnavailable("the database did not answer in time")
    if isinstance(error, asyncpg.PostgresError | asyncpg.InterfaceError | OSError):
        return JournalUnavailable(f"{type(error).__name__}: {error}")
    return error


async def _nothing_to_reset(connection: Connection) -> None:
    """We leave no session state, so the round trip of RESET ALL on every release would buy nothing."""


def _milliseconds(seconds: float) -> str:
    return str(int(seconds * 1000))
