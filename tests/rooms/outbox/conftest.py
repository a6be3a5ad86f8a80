"""One deployment per test."""

from collections.abc import AsyncIterator

import nats as nats_client
import pytest

from atp.journal import migrate
from tests.rooms.outbox.room import Room


@pytest.fixture
async def room(valkey: str, nats: str, database: str, namespace: str) -> AsyncIterator[Room]:
    await migrate(database)
    client = await nats_client.connect(nats, pending_size=0)
    room = Room(valkey, database, client, namespace)
    await room.open()
    yield room
    await room.close()
    await client.close()
