"""Processes killed at any moment, for real."""

import asyncio
import random
from functools import partial

import pytest

from tests.crew import crew
from tests.rooms.outbox.room import Room, level, reserves
from tests.rooms.outbox.worker import Work
from tests.support import wait_until_async

pytestmark = pytest.mark.anyio


async def test_kill_9_again_and_again(room: Room, nats: str) -> None:
    """Two processes share the work, one of them is always being killed: no gap, no second copy, order kept."""
    work = Work(
        room.ledger_settings.url, room.journal_settings.url, nats, room.ledger_settings.namespace, room.settings
    )
    chance = random.Random(11)
    await room.apply(level(100_000))
    async with crew("tests.rooms.outbox.worker", work) as workers:
        for n in range(6):
            began = (await room.journal.heads()).get(0, 0)
            await room.apply(*reserves(300, f"k{n}-"))
            await wait_until_async(partial(_journaled_more, room, began), 20, "a worker to journal something")
            await asyncio.sleep(chance.random() / 20)  # not a wait: the moment of death is left to chance
            await workers.replace()
        await wait_until_async(room.drained, 20, "the journal to catch up")
        await wait_until_async(lambda: published_all(room), 20, "NATS to catch up")
    assert await room.journaled() == list(range(1, await room.head() + 1))
    seqs = [int(told.id[2:]) for told in await room.told_events()]
    assert len(seqs) == 1800
    assert seqs == sorted(set(seqs))
    assert (await room.told("availability"))[-1].data["ats"] == 100_000 - 1800


async def _journaled_more(room: Room, began: int) -> bool:
    return (await room.journal.heads()).get(0, 0) > began


async def published_all(room: Room) -> bool:
    mark = await room.journal.watermark(0)
    return mark is not None and mark.announced == await room.head()
