"""One deployment per test."""

from collections.abc import AsyncIterator

import nats as nats_client
import pytest

from tests.rooms.outbox.room import Room


@pytest.fixture
async def room(valkey: str, nats: str, migrated: str, namespace: str) -> AsyncIterator[Room]:
    client = await nats_client.connect(nats, pending_size=0)
    room = Room(valkey, migrated, client, namespace)
    await room.open()
    yield room
    await room.close()
    await client.close()
