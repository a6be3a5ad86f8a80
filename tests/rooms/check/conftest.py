"""One deployment per test: a ledger, a journal, and a drainer between them."""

from collections.abc import AsyncIterator

import pytest

from atp.journal import migrate
from tests.rooms.check.room import Room


@pytest.fixture
async def room(valkey: str, database: str, namespace: str) -> AsyncIterator[Room]:
    await migrate(database)
    async with Room(valkey, database, namespace) as room:
        yield room
