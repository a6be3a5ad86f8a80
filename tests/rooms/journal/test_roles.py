"""The service's role: it does all of its work, and the history is append-only for it."""

from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import asyncpg
import pytest

from atp.cli.migrate import _migrate
from atp.config import Config
from atp.journal import Journal, MigrationFailed, administer
from tests.rooms.journal.made import held, level, opened, run_of
from tests.support import asking, patient_journal

pytestmark = pytest.mark.anyio

REFUSED = [
    "update entries set client = 'nobody'",
    "delete from entries",
    "truncate entries",
    "drop table entries",
    "update entries_default set client = 'nobody'",
    "delete from {day}",
    "delete from position_changes",
    "alter table entries detach partition entries_default",
    "update retention set keep_days = 1",
    "insert into schema_migrations values ('1')",
    "create table mine (a int)",
    "select grant_service('postgres')",
]


@pytest.fixture
async def service(migrated: str, namespace: str) -> AsyncIterator[str]:
    """URL of the database for a role that has what `atp migrate --service-role` gives."""
    role = f"service_{namespace}"
    async with asking(migrated) as owner:
        await owner.execute(f"create role {role} login password 'x'")
        await administer(migrated, keep_days=30, drop_old=False, service_role=role)
        await administer(migrated, keep_days=30, drop_old=False, service_role=role)  # after every migration again
        parts = urlsplit(migrated)
        yield parts._replace(netloc=f"{role}:x@{parts.hostname}:{parts.port}").geturl()
        await owner.execute(f"drop owned by {role}")
        await owner.execute(f"drop role {role}")


async def test_the_service_does_its_work(service: str, namespace: str) -> None:
    journal = Journal(patient_journal(service, namespace))
    await journal.open()
    assert await journal.ensure_days() == 8
    claim = await journal.claim(0, "a")
    await journal.append(0, 0, [*run_of(1, 5), level(6, 9)], claim.fence)
    await journal.move_published(claim, 6, 6)
    assert len(await journal.history("r2")) == 1
    assert await journal.retire_day() is None
    await journal.close()


async def test_migrate_says_what_is_done_also_when_the_grant_fails(
    service: str, migrated: str, capsys: pytest.CaptureFixture[str]
) -> None:
    config = Config(database_url=migrated)
    with pytest.raises(MigrationFailed, match="does not exist"):
        await _migrate(config, "nobody_at_all", False)
    assert capsys.readouterr().out == "nothing to apply\n"
    role = urlsplit(service).username or ""
    await _migrate(config, role, False)
    assert capsys.readouterr().out == f"nothing to apply\n{role} may do what the service does\n"


async def test_the_service_cannot_change_what_was(service: str, migrated: str, namespace: str) -> None:
    journal = Journal(patient_journal(service, namespace))
    await journal.open()
    await journal.ensure_days()
    claim = await journal.claim(0, "a")
    await journal.append(0, 0, [opened(), held(2)], claim.fence)
    await journal.close()
    async with asking(service) as connection, asking(migrated) as owner:
        day = await owner.fetchval("select relname from pg_class where relname ~ '^entries_[0-9]+$' order by 1 limit 1")
        for statement in REFUSED:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement.format(day=day))
        assert [entry["seq"] for entry in await owner.fetch("select seq from entries order by 1")] == [1, 2]


async def test_a_role_that_is_not_there_is_named(migrated: str) -> None:
    with pytest.raises(MigrationFailed, match="nobody_at_all"):
        await administer(migrated, keep_days=0, drop_old=False, service_role="nobody_at_all")
