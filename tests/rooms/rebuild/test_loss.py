"""What a lost ledger takes with it is named, and nothing is sold until a person accepts it (R2)."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from atp.dev.valkey import Valkey
from atp.domain.entries import LedgerOpened
from atp.domain.outcomes import Outcome
from atp.journal import migrate
from atp.ledger.promotion import EPOCH_GAP
from atp.rebuild import accept
from tests.rooms.rebuild.room import Room, confirm, entries_of, level, release, reserve, reserves
from tests.support import wait_until_async

pytestmark = pytest.mark.anyio


@pytest.fixture
def own_valkey(tmp_path: Path) -> Valkey:
    return Valkey(tmp_path)


@pytest.fixture
async def own_room(own_valkey: Valkey, database: str, namespace: str) -> AsyncIterator[Room]:
    """A deployment whose server the test may hurt."""
    await migrate(database)
    with own_valkey:
        room = Room(own_valkey.url, database, namespace)
        try:
            await room.open()
            yield room
        finally:
            await room.close()


async def outcomes(room: Room, *commands) -> list[str]:
    return [result.outcome.name for result in await room.apply(*commands)]


async def test_a_journal_that_lags_opens_without_reserve_until_the_loss_is_accepted(room: Room) -> None:
    """R2 (a): what was acknowledged after the watermark is gone with the disk."""
    await room.apply(level(10), *reserves(3))
    watermark = await room.drain()
    await room.apply(*reserves(3, "gone"))
    head = room.ledger.position(0)
    async with room.watched() as watch:
        await room.lose()
        await room.serves(2)
        assert await outcomes(room, reserve("new"), reserve("k0"), confirm("k1"), release("k2"), level(20, 2)) == [
            "RECOVERING", "REPLAYED", "APPLIED", "APPLIED", "APPLIED",
        ]  # fmt: skip
        await room.drain()
        (loss,) = await room.journal.exceptions("loss", open=True)
        assert f"entries {watermark + 1} to {head} of partition 0 are gone" in loss.detail
        assert await watch.accept("someone", "the shops were told") == [0]
        assert await outcomes(room, reserve("new")) == ["APPLIED"]
        assert await watch.accept("someone", "again") == []
    await room.drain()
    (loss,) = await room.journal.exceptions("loss")
    assert (loss.resolution, loss.resolved_by, loss.reason) == ("accept", "someone", "the shops were told")


async def test_a_ledger_that_comes_back_older_is_rebuilt_up_to_what_is_left_of_it(
    own_room: Room, own_valkey: Valkey, tmp_path: Path
) -> None:
    """R2 (b): a replica at 950 of 1000 is promoted, or a backup restored; the journal is at 900."""
    room = own_room
    await room.apply(level(10))
    watermark = await room.drain()
    await room.apply(*reserves(2))
    kept = room.ledger.position(0)
    data, copy = own_valkey.directory, tmp_path / "copy"
    own_valkey.stop()
    shutil.copytree(data, copy)
    own_valkey.start()
    await wait_until_async(lambda: _accepted(room), description="the ledger to come back")
    await room.apply(*reserves(2, "gone"))
    head = room.ledger.position(0)
    own_valkey.kill()
    shutil.rmtree(data)
    shutil.copytree(copy, data)
    async with room.watched():
        own_valkey.start()
        await room.serves(2)
        assert await outcomes(room, reserve("new"), confirm("k0"), confirm("k1")) == [
            "RECOVERING",
            "APPLIED",
            "APPLIED",
        ]
    await room.drain()
    seqs = [entry.seq for entry in await entries_of(room.journal)]
    assert seqs[:kept] == list(range(1, kept + 1))
    assert kept > watermark
    (loss,) = await room.journal.exceptions("loss", open=True)
    assert f"entries {kept + 1} to {head} " in loss.detail


async def test_no_number_that_anybody_has_seen_is_used_again(room: Room) -> None:
    """R2 (c): the new epoch begins far behind what the other process saw, though the journal never heard of it."""
    other = room.process("p2")
    await other.open({})
    await room.apply(level(10))
    await room.drain()
    await other.apply(list(reserves(5)))
    assert room.ledger.position(0) < other.position(0)
    stop = asyncio.Event()
    sweeping = asyncio.create_task(other.sweep(stop))
    await room.lose()
    # On a machine that stands still it may come too late to be heard, which is another story (`late`).
    await wait_until_async(lambda: room.ask("HGET", room.prefix + "witness", "p2"), description="the other one told it")
    async with room.watched():
        await room.serves(2)
        await room.serves(2, ledger=other)
    stop.set()
    await sweeping
    await room.drain()
    opened = [entry for entry in await entries_of(room.journal) if isinstance(entry, LedgerOpened)][-1]
    assert opened.seq == other.position(0) - 1 if opened.seq > EPOCH_GAP else False
    await other.close()


async def test_a_deployment_may_accept_losses_beforehand(room: Room) -> None:
    """ATP_ON_LOSS=open: told all the same."""
    await room.apply(level(10))
    await room.drain()
    await room.apply(*reserves(3))
    room.settings = type(room.settings)(accept_loss=True, witness_s=0.15, watch_s=0.05)
    async with room.watched():
        await room.lose()
        await room.serves(2)
        assert await outcomes(room, reserve("new")) == ["APPLIED"]
    await room.drain()
    (loss,) = await room.journal.exceptions("loss")
    assert loss.resolution == "accept"


async def test_a_second_loss_is_told_beside_the_first(room: Room) -> None:
    await room.apply(level(10))
    await room.drain()
    async with room.watched():
        for epoch in (2, 3):
            await room.apply(level(10, epoch))
            await room.lose()
            await room.serves(epoch)
            await room.drain()
        assert await outcomes(room, reserve("new")) == ["RECOVERING"]
        assert await accept(room.ledger, "me", "both") == [0]
        assert await outcomes(room, reserve("new")) == ["APPLIED"]
    await room.drain()
    found = await room.journal.exceptions("loss")
    assert [loss.resolution for loss in found] == ["accept", "superseded"]


async def test_the_ledger_is_gone_before_anything_was_journaled(room: Room) -> None:
    await room.apply(level(10))
    async with room.watched():
        await room.lose()
        await room.serves(2)
        assert await outcomes(room, reserve("new")) == ["RECOVERING"]


async def _accepted(room: Room) -> bool:
    try:
        return (await room.apply(level(10, 2)))[0].outcome in (Outcome.APPLIED, Outcome.STALE)
    except Exception:
        return False
