"""A migrated database and a journal on it."""

from collections.abc import AsyncIterator

import pytest

from atp.journal import Journal, JournalSettings, migrate


@pytest.fixture
async def migrated(database: str) -> str:
    """URL of a database with this release's schema."""
    await migrate(database)
    return database


@pytest.fixture
async def journal(migrated: str, namespace: str) -> AsyncIterator[Journal]:
    """An open journal of this test's own."""
    journal = Journal(JournalSettings(migrated, namespace))
    await journal.open()
    yield journal
    await journal.close()
