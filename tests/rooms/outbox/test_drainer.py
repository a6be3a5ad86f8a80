"""The drainer: every entry into the journal once, whatever happens in between."""

from pathlib import Path

import pytest

from atp.dev.postgres import Postgres
from atp.journal import Fenced, JournalError, JournalGap
from atp.ledger import Ledger
from tests.rooms.outbox.room import Room, level, reserve, reserves
from tests.support import asking, wait_until_async

pytestmark = pytest.mark.anyio


class Killed(Exception):
    """The process ended here."""


class DiesAtTrim(Ledger):
    """A real ledger whose caller is killed just before the trim."""

    async def trim(self, partition: int, through: int) -> None:
        if through:
            raise Killed


async def test_entries_reach_the_journal_and_leave_the_outbox(room: Room) -> None:
    await room.apply(level(100), *reserves(20))
    drainer = room.drainer()
    assert await drainer.run_once() == await room.head()
    assert await room.drained()
    assert await room.journaled() == list(range(1, await room.head() + 1))
    assert await drainer.run_once() == 0


async def test_killed_between_commit_and_trim(room: Room) -> None:
    await room.apply(level(100), *reserves(5))
    dying = DiesAtTrim(room.ledger_settings)
    await dying.open(await room.journal.heads())
    with pytest.raises(Killed):
        await room.drainer(dying).run_once()
    await dying.close()
    assert not await room.drained()
    await room.apply(*reserves(5, "later"))

    await room.drainer().run_once()
    assert await room.drained()
    assert await room.journaled() == list(range(1, await room.head() + 1))


async def test_a_drainer_that_was_overtaken_writes_nothing_and_stands_by(room: Room) -> None:
    await room.apply(level(100), reserve("a"))
    sleeper = room.drainer(owner="sleeper")
    await sleeper.run_once()
    await room.ledger.lease("outbox-0", "sleeper", 1)  # it sleeps, and its lease runs out
    successor = room.drainer(owner="successor")
    await room.apply(reserve("b"))
    await wait_until_async(successor.run_once, description="the successor to take over")

    await room.apply(reserve("c"))
    with pytest.raises(Fenced):
        await sleeper.run_once()
    await successor.run_once()
    assert await room.journaled() == list(range(1, await room.head() + 1))


async def test_a_standby_takes_over_from_one_that_ends(room: Room) -> None:
    await room.apply(level(100))
    first = room.running()
    first_counters = (await first.__aenter__()).partitions[0].counters
    await wait_until_async(lambda: first_counters.active)
    async with room.running() as second:
        await room.apply(reserve("a"))
        await wait_until_async(room.drained)
        assert not second.partitions[0].counters.active
        await first.__aexit__(None, None, None)
        await room.apply(reserve("b"))
        await wait_until_async(room.drained)
        assert second.partitions[0].counters.active
    assert await room.journaled() == list(range(1, await room.head() + 1))


async def test_a_hole_before_the_outbox_is_told_and_stood_in_for_by_a_baseline(room: Room) -> None:
    """The journal was restored to an older state: going on in silence would hide what is missing (R20)."""
    await room.apply(level(100))
    await room.drainer().run_once()
    watermark = (await room.journal.heads())[0]
    await room.apply(reserve("gone"))
    gone = await room.head()
    await room.ledger.trim(0, gone)
    await room.apply(reserve("b"))
    assert await room.drainer().run_once() == 1
    assert await room.journaled() == [*range(1, watermark + 1), gone, gone + 1]
    baseline = await room.journal.baselines.newest(0)
    assert baseline is not None
    assert (baseline.seq, baseline.live) == (gone + 1, True)
    (told,) = await room.journal.exceptions("journal-gap", open=True)
    assert f"entries {watermark + 1} to {gone} of partition 0" in told.detail
    reader = room.ledger._readers[0]
    assert await reader.command("KEYS", reader.key("frozen:*")) == []
    await room.apply(reserve("c"))
    assert await room.drainer().run_once() == 1


async def test_a_hole_stops_the_drainer_while_another_process_makes_the_baseline(room: Room) -> None:
    await room.apply(level(100), reserve("a"))
    await room.ledger.trim(0, await room.head() - 1)
    async with room.journal.baselines.making(0):
        with pytest.raises(JournalGap):
            await room.drainer().run_once()
    assert await room.journaled() == []


async def test_a_baseline_that_fails_gives_the_memory_of_its_copy_back(room: Room) -> None:
    await room.apply(level(100), reserve("a"))
    await room.ledger.trim(0, await room.head() - 1)
    async with asking(room.journal_settings.url) as connection:
        await connection.execute("alter table baseline_pages rename to away")
        with pytest.raises(JournalError):
            await room.drainer().run_once()
        reader = room.ledger._readers[0]
        assert await reader.command("KEYS", reader.key("frozen:*")) == []
        await connection.execute("alter table away rename to baseline_pages")
    await room.drainer().run_once()
    assert await room.drained()


async def test_postgresql_away(room: Room, tmp_path: Path) -> None:
    """Commands go on, entries wait in the outbox, and none is lost or written twice."""
    with Postgres(tmp_path) as server:
        await room.move_journal(server)
        await room.apply(level(100))
        async with room.running() as outbox:
            counters = outbox.partitions[0].counters
            await wait_until_async(room.drained)
            server.stop()
            await room.apply(*reserves(10))
            await wait_until_async(lambda: not counters.journal_reachable)
            lag = counters.journal_lag_seconds
            await wait_until_async(lambda: counters.journal_lag_seconds > lag, description="the lag to grow")
            server.start()
            await wait_until_async(room.drained, description="the journal to catch up")
            await wait_until_async(lambda: counters.journal_reachable)
            assert counters.journal_lag_seconds == 0
        assert await room.journaled() == list(range(1, await room.head() + 1))
