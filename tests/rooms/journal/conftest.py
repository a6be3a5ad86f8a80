"""A journal on a database of the test's own."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from atp.journal import Journal
from tests.support import asking, patient_journal


@pytest.fixture
async def journal(migrated: str, namespace: str) -> AsyncIterator[Journal]:
    """An open journal of this test's own."""
    journal = Journal(patient_journal(migrated, namespace))
    await journal.open()
    yield journal
    await journal.close()


@pytest.fixture
async def connection(migrated: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection of the test's own."""
    async with asking(migrated) as connection:
        yield connection
