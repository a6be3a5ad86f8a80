"""A lost ledger comes back from the journal, equal, and under numbers that nobody has seen (R2, C7)."""

import asyncio
from urllib.parse import urlsplit

import pytest
from msgspec import structs

from atp.domain.entries import DeadlinesMoved, LedgerOpened
from atp.domain.outcomes import Outcome
from atp.ledger import LedgerRecovering, LedgerUnavailable
from atp.ledger.promotion import EPOCH_GAP
from atp.ledger.records import Page
from atp.ledger.restoring import Restoring
from atp.ledger.storing import Superseded
from atp.rebuild import Rebuilt, Settings, make_baseline
from tests.rooms.rebuild.room import (
    Life,
    Room,
    confirm,
    entries_of,
    level,
    live,
    quietly,
    release,
    reserve,
    reserves,
    same,
)
from tests.support import asking, wait_until_async

pytestmark = pytest.mark.anyio

HOUR = 3_600_000


@pytest.mark.parametrize("seed", range(2))
async def test_everything_comes_back_with_a_baseline_and_without_one(room: Room, seed: int) -> None:
    life = Life(seed)
    await live(room, life, 20)
    await room.drain()
    await make_baseline(room.journal, 0, room.settings)
    for commands in (life.batch() for _ in range(10)):
        await asyncio.gather(*map(room.ledger._batchers[0].submit, commands), return_exceptions=True)
    watermark = await room.drain()
    before = await room.state()

    await room.lose()
    rebuilt = await room.rebuilder().run()
    assert rebuilt is not None
    assert 1 < rebuilt.baseline < watermark
    assert same(await room.state(), before) == {}

    await room.lose()
    async with room.journal._connections.take() as connection:
        await connection.execute("delete from baselines")
    from_the_first = await room.rebuilder().run()
    assert from_the_first is not None
    assert (from_the_first.baseline, from_the_first.entries) == (0, watermark)
    assert same(await room.state(), before) == {}


async def test_it_goes_on_from_the_baseline_that_stands_in_for_lost_entries(room: Room) -> None:
    """The journal was restored to an older state, and the living ledger was copied into it (R20)."""
    life = Life(5)

    async def more() -> None:
        for commands in (life.batch() for _ in range(8)):
            await asyncio.gather(*map(room.ledger._batchers[0].submit, commands), return_exceptions=True)

    await live(room, life, 8)
    await room.drain()
    await more()
    await room.ledger.trim(0, room.ledger.position(0))  # into a journal that does not have it any more
    await more()
    await room.drain()
    baseline = await room.journal.baselines.newest(0)
    assert baseline is not None
    assert baseline.live
    await more()
    assert await room.drain() > baseline.seq
    before = await room.state()
    await room.lose()
    rebuilt = await room.rebuilder().run()
    assert rebuilt is not None
    assert (rebuilt.baseline, rebuilt.loss) == (baseline.seq, "")
    assert same(await room.state(), before) == {}


async def test_a_lost_ledger_is_noticed_by_all_and_made_anew_by_one_while_they_run(room: Room) -> None:
    idle = room.process("idle")
    await idle.open({})
    await room.apply(level(10), *reserves(3), confirm("k0"))
    await room.drain()
    head = room.ledger.position(0)
    async with room.watched(idle):
        await room.lose()
        await wait_until_async(lambda: idle.recovering == room.ledger.recovering == [0], 5, "both to notice")
        with pytest.raises(LedgerRecovering):
            room.ledger.submit(reserve("later"))
        await room.serves(2)
        await room.serves(2, ledger=idle)
        results = await room.apply(reserve("k1"), reserve("later"), release("k2"))
    assert [result.outcome.name for result in results] == ["REPLAYED", "APPLIED", "APPLIED"]
    assert (await idle.submit(confirm("later"))).outcome is Outcome.APPLIED
    assert room.ledger.position(0) > head + EPOCH_GAP
    await room.drain()
    opened = [entry for entry in await entries_of(room.journal) if isinstance(entry, LedgerOpened)]
    assert [(entry.epoch, entry.seq > head + EPOCH_GAP) for entry in opened] == [(1, False), (2, True)]
    await idle.close()


async def test_twice_in_a_row_no_number_is_used_again(room: Room) -> None:
    seen: set[int] = set()
    async with room.watched():
        for epoch in (2, 3):
            await room.apply(level(10, epoch), *reserves(3, f"e{epoch}"))
            await room.drain()
            await room.lose()
            await room.serves(epoch)
    await room.drain()
    for entry in await entries_of(room.journal):
        assert entry.seq not in seen
        seen.add(entry.seq)


async def test_of_two_rebuilders_one_opens_the_ledger(room: Room) -> None:
    await room.apply(level(10), *reserves(5))
    await room.drain()
    before = await room.state()
    await room.lose()
    results = await asyncio.gather(room.rebuilder().run(), room.rebuilder().run(), return_exceptions=True)
    assert sum(isinstance(result, Rebuilt) for result in results) == 1
    assert sum(result is None or isinstance(result, Superseded) for result in results) == 1  # None: it came too late
    state = await room.state()
    assert state.epoch == 2
    assert same(state, before) == {}
    assert await room.rebuilder().run() is None  # the one that comes late finds it well


@pytest.mark.parametrize("phase", ["witnesses", "wipe", "entries", "write", "open"])
async def test_a_rebuilder_that_dies_is_followed_by_another(room: Room, phase: str) -> None:
    await room.apply(level(10), *reserves(5))
    await room.drain()
    before = await room.state()
    await room.lose()
    dying: asyncio.Task

    async def die(name: str, *_: int) -> None:
        if name == phase:
            dying.cancel()
            await asyncio.sleep(0)

    dying = asyncio.create_task(room.rebuilder(None, die).run())
    await quietly(dying)
    assert dying.cancelled()
    with pytest.raises(LedgerRecovering):
        await room.ledger.heads()
    rebuilt = await room.rebuilder().run()
    assert rebuilt is not None
    assert same(await room.state(), before) == {}


async def test_one_that_slept_through_anothers_rebuild_writes_nothing(room: Room) -> None:
    await room.apply(level(10), *reserves(5))
    await room.drain()
    await room.lose()
    reached, wake = asyncio.Event(), asyncio.Event()

    async def sleep(name: str, *_: int) -> None:
        if name == "write":
            reached.set()
            await wake.wait()

    sleeper = asyncio.create_task(room.rebuilder(None, sleep).run())
    await reached.wait()
    assert await room.rebuilder().run() is not None
    after = await room.state()
    wake.set()
    with pytest.raises(Superseded):
        await sleeper
    assert same(await room.state(), after) == {}


async def test_what_is_under_way_when_another_begins_is_not_stored(room: Room) -> None:
    await room.lose()
    first, second = (Restoring(room.url, room.namespace, 0) for _ in range(2))
    await first.begin(0)
    await first.write(Page("sku", "hash", [b"A", b"record"]))
    await first.head()  # by now the server has said that this may be written
    await second.begin(0)
    with pytest.raises(Superseded):
        await first.flush()
    assert await room.ask("EXISTS", room.prefix + "sku") == 0
    await first.close()
    await second.close()


async def test_by_hand_what_is_not_journaled_yet_is_journaled_first(room: Room) -> None:
    await room.apply(level(10), *reserves(5))
    before = await room.state()
    async with room.watched() as watch:
        watch.ask(accept_loss=False)
        await room.serves(2)
    state = await room.state()
    assert same(state, before) == {}
    assert not state.exceptions
    assert [entry.seq for entry in await entries_of(room.journal)] == list(range(1, before.seq + 1))


async def test_by_hand_it_is_done_although_the_journal_was_away_for_a_moment(room: Room) -> None:
    await room.apply(level(10), *reserves(5))
    await room.drain()
    room.settings = structs.replace(room.settings, retry_s=0.05)
    async with room.watched() as watch, asking(room.journal._settings.url) as connection:
        await connection.execute("alter table watermarks rename to away")
        watch.ask(accept_loss=True)
        await wait_until_async(lambda: watch._failing, description="an attempt that fails")
        await connection.execute("alter table away rename to watermarks")
        await room.serves(2)


async def test_a_server_that_refuses_the_library_is_away_for_now(room: Room) -> None:
    """As while it loads its data: whoever repeats after LedgerUnavailable goes on, and no process ends by it."""
    at = urlsplit(room.url)
    await room.ask("ACL", "SETUSER", room.namespace, "on", ">secret", "~*", "&*", "+@all", "-function")
    url = f"redis://{room.namespace}:secret@{at.hostname}:{at.port}"
    steps = Restoring(url, room.namespace, 0)
    try:
        with pytest.raises(LedgerUnavailable, match="NOPERM"):
            await steps.freeze()
        await room.ask("ACL", "SETUSER", room.namespace, "+function")
        assert (await steps.freeze())[1] == room.ledger.position(0)
        await steps.thaw()
    finally:
        await steps.close()
        await room.ask("ACL", "DELUSER", room.namespace)


async def test_deadlines_that_passed_meanwhile_move(room: Room) -> None:
    """The journal of an hour ago: the hold that ended since then can still be confirmed for half a minute (R22)."""
    await room.apply(level(10), reserve("a", ttl_ms=60_000), reserve("b", ttl_ms=7_200_000))
    await room.drain()
    async with room.journal._connections.take() as connection:
        await connection.execute(
            "update entries set body = jsonb_set(body::jsonb, '{2}', to_jsonb((body->>2)::bigint - $1))", HOUR
        )
        await connection.execute(
            "update entries set body = jsonb_set(jsonb_set(body::jsonb, '{5,1}', to_jsonb((body->5->>1)::bigint - $1)),"
            " '{5,2}', to_jsonb((body->5->>2)::bigint - $1)) where kind = 'held'", HOUR,
        )  # fmt: skip
    await room.lose()
    async with room.watched():
        await room.serves(2)
        result = (await room.apply(confirm("a")))[0]
    assert result.outcome is Outcome.APPLIED
    await room.drain()
    assert any(isinstance(entry, DeadlinesMoved) for entry in await entries_of(room.journal))


async def test_a_process_that_is_told_to_end_leaves_the_rebuild_to_another(room: Room) -> None:
    await room.apply(level(10), *reserves(5))
    await room.drain()
    room.settings = Settings(witness_s=30, watch_s=0.05)
    async with room.watched():
        await room.lose()
        await wait_until_async(lambda: room.ask("HGET", room.prefix + "progress", "phase"), description="a rebuild")
    room.settings = Settings(witness_s=0.1, watch_s=0.05)
    async with room.watched():
        await room.serves(2)
