"""Each entry once in the journal and its event in order on NATS, whatever becomes of answers and processes (R19)."""

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import asyncpg
import nats as nats_client
import pytest

from atp.dev.nats import Nats
from atp.journal import Journal
from tests.crew import Crew, crew
from tests.cutting import cut_at
from tests.rooms.outbox.room import Room, level, reserves
from tests.rooms.outbox.test_killed import published_all
from tests.rooms.outbox.worker import Work
from tests.support import asking, patient_journal, wait_until_async

pytestmark = pytest.mark.anyio


async def assert_exact(room: Room, events: int) -> None:
    """The journal has every seq once, the stream every event once and in order."""
    assert await room.journaled() == list(range(1, await room.head() + 1))
    seqs = [int(told.id.partition(":")[2]) for told in await room.told_events()]
    assert len(seqs) == events
    assert seqs == sorted(set(seqs))


@pytest.mark.parametrize("committed", [True, False])
async def test_commits_whose_outcome_is_unknown(room: Room, committed: bool) -> None:
    """The wire is cut behind COMMIT three times: the watermark decides, and the same drainer goes on (F23)."""
    honest = room.journal
    async with cut_at(b"COMMIT", room.journal_settings.url, forward=committed, times=3) as url:
        room.journal = Journal(patient_journal(url, room.journal_settings.namespace))
        await room.journal.open()
        await room.apply(level(1_000))
        async with room.running() as outbox:
            for n in range(4):
                await room.apply(*reserves(50, f"k{n}-"))
                await wait_until_async(room.drained, 20, "the drainer to find out and go on")
            await wait_until_async(lambda: published_all(room), 20)
            assert outbox.partitions[0].counters.fenced == 0
        await room.journal.close()
    room.journal = honest
    await assert_exact(room, 200)


@pytest.mark.parametrize("rounds", [2, pytest.param(15, marks=pytest.mark.soak)])
async def test_a_stopped_drainer_wakes_behind_its_successor(room: Room, nats: str, rounds: int) -> None:
    """The one at work is stopped at any moment, the other takes over, and then it wakes (F24)."""
    work = Work(
        room.ledger_settings.url, room.journal_settings.url, nats, room.ledger_settings.namespace, room.settings,
        idle_transaction_s=0.5,
    )  # fmt: skip
    chance = random.Random(7)
    await room.apply(level(1_000_000))
    async with asking(room.journal_settings.url) as watched, crew("tests.rooms.outbox.worker", work) as workers:
        for n in range(rounds):
            sleeper = await owner(watched, workers)
            async with buying(room, f"{n}-") as bought:
                await asyncio.sleep(chance.random() / 10)  # not a wait: where it is stopped is left to chance
                os.kill(sleeper, signal.SIGSTOP)
                await wait_until_async(partial(another, watched, sleeper), 20, "the other one to take over")
                began = len(bought)
                await wait_until_async(lambda: len(bought) > began, 20, "work for the successor")  # noqa: B023
            await wait_until_async(room.drained, 20, "the successor to journal")
            os.kill(sleeper, signal.SIGCONT)
        await wait_until_async(room.drained, 20, "the journal to catch up")
        await wait_until_async(lambda: published_all(room), 20, "NATS to catch up")
        assert len(workers.alive) == 2  # the one that was overtaken stands by
    await assert_exact(room, (await room.head()) - await others(room))


async def owner(watched: asyncpg.Connection, workers: Crew) -> int:
    """The pid of the worker that has the partition."""
    pids = {worker.pid for worker in workers.alive}

    async def found() -> int:
        text = await watched.fetchval("select owner from watermarks where partition = 0")
        pid = int(text.split(":")[1]) if text else 0
        return pid if pid in pids else 0

    await wait_until_async(found, 20, "a worker to take the partition")
    return await found()


async def another(watched: asyncpg.Connection, pid: int) -> bool:
    return f":{pid}:" not in (await watched.fetchval("select owner from watermarks where partition = 0") or "")


async def others(room: Room) -> int:
    """Entries that no event tells of."""
    rows = await room.journal.entries_after(0, 0, 1_000_000)
    return sum(type(entry).__name__ not in ("Held", "ExceptionRaised") for entry in rows)


@asynccontextmanager
async def buying(room: Room, prefix: str) -> AsyncIterator[list[int]]:
    """Reservations without a pause, so that whoever is stopped is stopped at work."""
    bought: list[int] = []
    stop = asyncio.Event()

    async def buy() -> None:
        while not stop.is_set():
            await room.apply(*reserves(20, f"{prefix}{len(bought)}-"))
            bought.append(20)
            await asyncio.sleep(0.005)

    task = asyncio.create_task(buy())
    try:
        yield bought
    finally:
        stop.set()
        await task


async def test_a_successor_publishes_what_the_outbox_has_not_any_more(room: Room, tmp_path: Path) -> None:
    """NATS is away for longer than a process lives: entries are journaled and trimmed, and told from the journal."""
    with Nats(tmp_path) as server:
        room.nats = await nats_client.connect(
            server.url, pending_size=0, max_reconnect_attempts=-1, reconnect_time_wait=0.05, error_cb=_ignore
        )
        await room.apply(level(1_000), *reserves(5, "before"))
        async with room.running():
            await wait_until_async(lambda: published_all(room))
            server.stop()
            await room.apply(*reserves(30, "during"))
            await wait_until_async(room.drained)
        async with room.running():  # what the one before kept in memory is gone
            await room.apply(*reserves(30, "later"))
            await wait_until_async(room.drained)
            server.start()
            await wait_until_async(lambda: published_all(room), 20, "the journal to be told")
        await assert_exact(room, 65)
        await room.nats.close()


async def _ignore(error: Exception) -> None:
    pass
