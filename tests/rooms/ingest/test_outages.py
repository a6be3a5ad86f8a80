"""Servers that die while messages flow: nothing is set aside, nothing is lost, nothing counts twice (R16)."""

import asyncio
import os
import signal
from pathlib import Path

import nats as nats_client
import pytest
from msgspec import structs
from nats.aio.client import Client
from nats.errors import Error as NatsError

from atp.dev.nats import Nats
from atp.dev.valkey import Valkey
from atp.ingest import Feed, FeedRefused, ensure_streams, feed
from tests.rooms.ingest.room import Room, open_ledger
from tests.support import wait_until_async

pytestmark = pytest.mark.anyio

MESSAGES = 3_000


def deltas(start: int, count: int) -> list[feed.Event]:
    """Each takes one of SKU A and brings one of SKU B."""
    return [
        feed.delta("wms", f"e{n}", [("A", "DC1", -1), ("B", "DC1", 1)], sequence=n) for n in range(start, start + count)
    ]


async def test_valkey_killed_while_messages_flow(room, tmp_path: Path):
    with Valkey(tmp_path) as server:
        room.ledger = await open_ledger(server.url, "outage")
        last = await room.publish(feed.level("wms", "e0", [("A", "DC1", MESSAGES)], sequence=0), *deltas(1, MESSAGES))
        consumer = room.start()
        for part in (1, 2, 3):
            await wait_until_async(lambda part=part: consumer.counters.messages >= part * 500, 20, "messages flow")
            before = consumer.counters.ledger_retries
            server.kill()
            await wait_until_async(
                lambda before=before: consumer.counters.ledger_retries > before, 20, "the consumer noticed"
            )
            server.start()
        await room.settled(last, 30)
        assert (await room.number("A"), await room.number("B")) == (0, MESSAGES)
        assert await room.reasons() == []
        await room.finish()
        await room.ledger.close()


async def test_nats_killed_while_messages_flow(room, tmp_path: Path):
    async def quiet(_: Exception) -> None:
        """The server is taken away on purpose."""

    with Nats(tmp_path) as server:
        nc = await nats_client.connect(
            server.url, max_reconnect_attempts=-1, reconnect_time_wait=0.05, pending_size=0, error_cb=quiet
        )
        room.nc, near = nc, room.nc
        await ensure_streams(nc.jetstream(), room.settings)
        consumer = room.start()
        await wait_until_async(lambda: consumer.counters.active, 10, "it reads")
        feeding = asyncio.create_task(send_all(nc, room, deltas(1, MESSAGES)))
        for part in (1, 2):
            await wait_until_async(lambda part=part: consumer.counters.messages >= part * 500, 20, "messages flow")
            server.kill()
            await wait_until_async(lambda: not nc.is_connected, 10, "the connection is gone")
            server.start()
        last = await feeding
        await room.settled(last, 30)
        assert (await room.number("A"), await room.number("B")) == (-MESSAGES, MESSAGES)
        assert await room.reasons() == []
        assert last == MESSAGES
        await room.finish()
        room.nc = near
        await nc.close()


async def test_a_server_that_says_nothing_is_not_waited_for(room, tmp_path: Path):
    """A stopped process keeps its connections open: only silence tells."""
    with Nats(tmp_path) as server:
        nc = await nats_client.connect(server.url, max_reconnect_attempts=-1, reconnect_time_wait=0.05, pending_size=0)
        room.nc, near = nc, room.nc
        room.settings = structs.replace(room.settings, heartbeat_s=0.2, nats_timeout_s=0.3)
        await ensure_streams(nc.jetstream(), room.settings)
        consumer = room.start()
        await room.settled(await room.publish(*deltas(1, 10)))
        os.kill(server.pid, signal.SIGSTOP)
        try:
            await wait_until_async(lambda: consumer.counters.restarts > 1, 10, "the silence is noticed")
        finally:
            os.kill(server.pid, signal.SIGCONT)
        await room.settled(await room.publish(*deltas(11, 10)))
        assert (await room.number("A"), await room.number("B")) == (-20, 20)
        await room.finish()
        room.nc = near
        await nc.close()


async def send_all(nc: Client, room: Room, events: list[feed.Event]) -> int:
    """As a feeder should: repeat what was not confirmed."""
    last = 0
    for start in range(0, len(events), 100):
        while True:
            try:
                last = await Feed(nc, room.settings).publish(events[start : start + 100])
                break
            except (NatsError, FeedRefused, TimeoutError):
                await asyncio.sleep(0.05)
    return last
