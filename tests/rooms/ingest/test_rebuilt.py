"""A ledger that was lost takes from the stream again what its journal never heard of, and nothing twice (R15)."""

import asyncio

import pytest

from atp.ingest import feed
from atp.journal import Journal, migrate
from atp.ledger import keys
from atp.outbox import Counters, Drainer, Settings
from atp.outbox.handover import Handover
from atp.rebuild import LastTold, Watch
from atp.rebuild import Settings as RebuildSettings
from tests.support import connected, patient_journal, wait_until_async

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("idle", [True, False])
async def test_events_behind_the_watermark_count_exactly_once(room, valkey, database, namespace, idle):
    await migrate(database)
    journal = Journal(patient_journal(database, namespace))
    await journal.open()
    rebuilding = RebuildSettings(accept_loss=True, witness_s=0.15, watch_s=0.05)
    watch, stop = Watch(room.ledger, journal, LastTold(None, rebuilding), rebuilding), asyncio.Event()
    drainer = Drainer(room.ledger, journal, 0, "me", Handover(100), Settings(), Counters())
    connection = await connected(valkey)
    room.start()
    loops = [asyncio.create_task(room.ledger.sweep(stop)), asyncio.create_task(watch.run(stop))]
    try:
        await room.publish(feed.level("wms", "e1", [("A", "DC1", 100)], sequence=1))
        await room.settled(await room.publish(feed.delta("wms", "e2", [("A", "DC1", -1)], sequence=2)))
        await drainer.run_once()
        gone = [feed.delta("wms", f"gone{n}", [("A", "DC1", -2)], sequence=n) for n in range(3, 8)]
        last = await room.publish(*gone)
        await room.settled(last)
        if not idle:
            await room.publish(*(feed.delta("wms", f"on{n}", [("A", "DC1", -3)], sequence=n) for n in range(8, 40)))
        for key in await connection.ask("KEYS", keys.prefix(namespace, 0) + "*"):
            await connection.ask("DEL", key)
        # Idle: the reader meets the new epoch with no refusal that would make it look.
        await wait_until_async(lambda: room.ledger.epochs == (2,) and not room.ledger.recovering, 15, "the new epoch")
        last = await room.publish(feed.delta("wms", "end", [("A", "DC1", -4)], sequence=50))
        await room.settled(last, 15)
        assert await room.number("A") == 100 - 1 - 5 * 2 - (0 if idle else 32 * 3) - 4
        assert await room.dead_letters() == []
    finally:
        stop.set()
        await asyncio.gather(*loops)
        await connection.end()
        await journal.close()
