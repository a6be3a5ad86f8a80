"""A live deployment, and a server that is not its own."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from atp.dev.valkey import Valkey
from tests.rooms.rebuild.room import Room


@pytest.fixture(scope="session")
def other(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a second server."""
    with Valkey(Path(tmp_path_factory.mktemp("other"))) as server:
        yield server.url


@pytest.fixture
async def room(valkey: str, migrated: str, namespace: str) -> AsyncIterator[Room]:
    """The live ledger and its journal."""
    room = Room(valkey, migrated, namespace)
    try:
        await room.open()
        yield room
    finally:
        await room.close()
