"""Migrations: applied once, whoever starts first, and told apart from a database that needs them."""

import asyncio
from pathlib import Path

import asyncpg
import pytest

from atp.journal import Journal, JournalUnmigrated, MigrationFailed, migrate, pending
from tests.support import patient_journal

pytestmark = pytest.mark.anyio


async def test_applies_what_is_pending_and_nothing_twice(database: str) -> None:
    expected = await pending(database)
    assert expected
    assert await migrate(database) == expected
    assert await pending(database) == []
    assert await migrate(database) == []


async def test_runs_at_once_apply_every_version_once(database: str) -> None:
    expected = await pending(database)
    runs = await asyncio.gather(*(migrate(database) for _ in range(3)))
    assert sorted(version for run in runs for version in run) == expected


async def test_concurrent_index_does_not_hang(database: str, tmp_path: Path) -> None:
    """A waiting run must not hold a snapshot that CREATE INDEX CONCURRENTLY waits for."""
    (tmp_path / "1_table.sql").write_text("-- migrate:up\ncreate table t (a int);\n-- migrate:down\n")
    (tmp_path / "2_index.sql").write_text(
        "-- migrate:up transaction:false\ncreate index concurrently t_a on t (a);\n-- migrate:down\n"
    )
    async with asyncio.timeout(30):
        runs = await asyncio.gather(*(migrate(database, tmp_path) for _ in range(3)))
    assert sorted(version for run in runs for version in run) == ["1", "2"]


async def test_failure_says_why(database: str, tmp_path: Path) -> None:
    (tmp_path / "1_broken.sql").write_text("-- migrate:up\ncreate tabel t (a int);\n-- migrate:down\n")
    with pytest.raises(MigrationFailed, match="tabel"):
        await migrate(database, tmp_path)


async def test_every_table_says_what_it_is_for(connection: asyncpg.Connection) -> None:
    rows = await connection.fetch(
        "select relname from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')"
        " and relname <> 'schema_migrations' and obj_description(oid) is null"
    )
    assert [row["relname"] for row in rows] == []


async def test_journal_on_an_empty_database_names_the_command(database: str) -> None:
    journal = Journal(patient_journal(database))
    with pytest.raises(JournalUnmigrated, match="atp migrate"):
        await journal.open()
