"""One stock stream and one ledger per test."""

import asyncio
from collections.abc import AsyncIterator, Callable

import nats as nats_client
import pytest
from nats.aio.client import Client

from atp.ingest import Consumer, Settings, ensure_streams
from atp.ledger import Ledger
from tests.rooms.ingest.room import Room, open_ledger
from tests.support import patient_ledger


@pytest.fixture
def settings(namespace: str) -> Settings:
    """Streams of this test's own, and waits that fit a test."""
    return Settings(
        stream=f"S-{namespace}",
        raw=f"R-{namespace}",
        dead_letters=f"D-{namespace}",
        root=namespace,
        settle_after_ms=20,
        lease_ttl_ms=1_000,
        retry_max_s=0.2,
        heartbeat_s=5.0,
        request_s=15.0,
        nats_timeout_s=5.0,
    )


@pytest.fixture
async def nc(nats: str) -> AsyncIterator[Client]:
    async def quiet(_: Exception) -> None:
        """Tests that take the server away expect its errors."""

    client = await nats_client.connect(
        nats, max_reconnect_attempts=-1, reconnect_time_wait=0.05, pending_size=0, error_cb=quiet
    )
    yield client
    await client.close()


@pytest.fixture
async def room(valkey: str, nc: Client, namespace: str, settings: Settings) -> AsyncIterator[Room]:
    ledger = await open_ledger(valkey, namespace)
    await ensure_streams(nc.jetstream(), settings)
    room = Room(nc, ledger, settings, Consumer(nc, ledger, settings), asyncio.Event())
    yield room
    await room.kill()
    await ledger.close()


@pytest.fixture
def make_ledger(valkey: str, namespace: str) -> Callable[[], Ledger]:
    """The same ledger as another process has it."""
    return lambda: Ledger(patient_ledger(valkey, namespace))
