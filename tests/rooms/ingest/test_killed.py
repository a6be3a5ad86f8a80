"""Readers, the stream's server and the ledger's, killed in the middle of a day's events: the numbers end exact."""

import asyncio
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import nats as nats_client
import pytest
from msgspec import structs
from nats.errors import Error as NatsError

from atp.dev.nats import Nats
from atp.dev.valkey import Valkey
from atp.ingest import Consumer, Feed, FeedRefused, Settings, ensure_streams, feed
from atp.ingest.streams import StreamUnfit
from tests.crew import crew
from tests.rooms.ingest.room import Room, open_ledger
from tests.rooms.ingest.worker import Work
from tests.support import wait_until_async

pytestmark = pytest.mark.anyio

NAMESPACE = "killed"

#: One message of so many is one that nobody can read.
POISON = 997


def events(count: int) -> Iterator[feed.Event]:
    """Levels of some positions, deltas of others, and poison."""
    for n in range(1, count + 1):
        if n % POISON == 0:
            yield structs.replace(feed.level("wms", f"e{n}", [("L0", "DC1", n)], sequence=n), data=b"{broken")
        elif n % 5 == 0:
            yield feed.level("wms", f"e{n}", [(f"L{n % 40}", "DC1", n)], sequence=n)
        else:
            yield feed.delta("wms", f"e{n}", [(f"D{n % 60}", "DC1", n % 7 - 3 or 1)], sequence=n)


def expected(count: int) -> dict[str, int]:
    """The numbers that these events leave."""
    numbers: Counter[str] = Counter()
    for n in range(1, count + 1):
        if n % POISON == 0:
            continue
        if n % 5 == 0:
            numbers[f"L{n % 40}"] = n
        else:
            numbers[f"D{n % 60}"] += n % 7 - 3 or 1
    return dict(numbers)


@pytest.mark.parametrize(
    ("count", "kills", "away_s"), [(8_000, 3, 1.0), pytest.param(200_000, 10, 60.0, marks=pytest.mark.soak)]
)
async def test_whatever_dies_the_numbers_end_exact(
    tmp_path: Path, settings: Settings, count: int, kills: int, away_s: float
) -> None:
    with Nats(tmp_path) as nats, Valkey(tmp_path) as valkey:
        nc = await nats_client.connect(
            nats.url, max_reconnect_attempts=-1, reconnect_time_wait=0.05, pending_size=0, error_cb=_quiet
        )
        await ensure_streams(nc.jetstream(), settings)
        ledger = await open_ledger(valkey.url, NAMESPACE)
        room = Room(nc, ledger, settings, Consumer(nc, ledger, settings), asyncio.Event())
        feeding = asyncio.create_task(_send_all(room, count))
        try:
            last = await _through_it_all(room, nats, valkey, feeding, kills, away_s)
            await room.settled(last, 60 + count / 500)
            numbers = {sku: await room.number(sku) for sku in expected(count)}
            assert numbers == expected(count)
            letters = [(letter.headers or {})["atp-stream-sequence"] for letter in await room.dead_letters()]
            assert sorted(map(int, letters)) == [n for n in range(1, count + 1) if n % POISON == 0]
        finally:
            feeding.cancel()
            await asyncio.gather(feeding, return_exceptions=True)
            await ledger.close()
            await nc.close()


async def _through_it_all(
    room: Room, nats: Nats, valkey: Valkey, feeding: asyncio.Task[int], kills: int, away_s: float
) -> int:
    """Kill readers one after the other, both servers in between, and drop the consumer; the last sequence sent."""
    work = Work(nats.url, valkey.url, NAMESPACE, room.settings)
    chance = random.Random(16)
    async with crew("tests.rooms.ingest.worker", work) as readers:
        for kill in range(kills):
            await _moves(room)
            await asyncio.sleep(chance.random() / 10)  # not a wait: the moment of death is left to chance
            await readers.replace()
            if kill == kills // 3:
                nats.kill()
                await wait_until_async(lambda: not room.nc.is_connected, 10, "the connection is gone")
                nats.start()
            if kill == kills // 2:
                valkey.kill()
                await asyncio.sleep(away_s)  # how long it is away is what is tested
                valkey.start()
            if kill == kills - 1:
                with suppress(NatsError, TimeoutError, StreamUnfit):
                    await room.nc.jetstream().delete_consumer(room.settings.stream, room.settings.consumer)
        last = await feeding
        await room.settled(last, 120)
        return last


async def _moves(room: Room) -> None:
    """Wait until readers settle messages, or all that was sent is settled."""
    began = -1

    async def moved() -> bool:
        nonlocal began
        try:
            cursor = await room.ledger.cursor(room.settings.key)
            sent = (await room.nc.jetstream().stream_info(room.settings.stream)).state.last_seq
        except Exception:  # a server is on its way back
            return False
        began = cursor if began < 0 else began
        return cursor > began or cursor == sent

    await wait_until_async(moved, 60, "messages flow")


async def _send_all(room: Room, count: int) -> int:
    """Publish everything in order, again and again while the server is away; repeats are dropped by their ids."""
    last, pending = 0, list(events(count))
    while pending:
        batch = pending[:500]
        try:
            last = await Feed(room.nc, room.settings).publish(batch)
        except (NatsError, TimeoutError, OSError, FeedRefused):
            await asyncio.sleep(0.05)
            continue
        pending = pending[500:]
    return last


async def _quiet(_: Exception) -> None:
    """The server is taken away on purpose."""
