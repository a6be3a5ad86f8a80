"""One deployment per test."""

from collections.abc import AsyncIterator

import pytest

from tests.rooms.outbox.room import Room, opened


@pytest.fixture
async def room(valkey: str, nats: str, migrated: str, namespace: str) -> AsyncIterator[Room]:
    async with opened(valkey, nats, migrated, namespace) as room:
        yield room
