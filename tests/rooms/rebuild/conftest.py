"""One deployment per test."""

from collections.abc import AsyncIterator

import pytest

from atp.journal import migrate
from tests.rooms.rebuild.room import Room


@pytest.fixture
async def room(valkey: str, database: str, namespace: str) -> AsyncIterator[Room]:
    await migrate(database)
    room = Room(valkey, database, namespace)
    try:
        await room.open()
        yield room
    finally:
        await room.close()
