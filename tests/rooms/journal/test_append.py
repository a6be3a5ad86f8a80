"""Append: each entry once, in order, or nothing at all."""

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial

import asyncpg
import pytest

from atp.domain.entries import Acknowledged, AnyEntry, Committed, Fulfilled, Transferred
from atp.journal import Fenced, Journal, JournalForeign, JournalGap, JournalSettings, JournalUnavailable
from atp.journal.rows import KINDS
from tests.cutting import cut_at
from tests.rooms.journal.made import AT, changed, cursor, delta, held, level, opened, policy, record, released, run_of
from tests.support import patient_journal, wait_until_async

pytestmark = pytest.mark.anyio


async def journaled(journal: Journal) -> list[int]:
    return [entry.seq for entry in await journal.entries_after(0, 0, 10_000)]


async def test_entries_come_back_as_they_went_in(journal: Journal) -> None:
    entries: list[AnyEntry] = [
        opened(), level(2, 10), delta(3, -1, 9), policy(4, '{"active": true}', 4), held(5), released(6, "r5", 5),
        cursor(7, 40),
    ]  # fmt: skip
    claim = await journal.claim(0, "a")
    await journal.append(0, 0, entries, claim.fence)
    assert await journal.entries_after(0, 0, 100) == entries
    assert await journal.entries_after(0, 5, 1) == entries[5:6]
    assert await journal.history("r5") == entries[4:6]
    assert await journal.heads() == {0: 7}
    assert await journal.stream_positions() == {("STOCK", 0): 40}


async def test_a_reservation_is_kept_in_its_newest_state(journal: Journal) -> None:
    claim = await journal.claim(0, "a")
    await journal.append(0, 0, [opened(), held(2, "r")], claim.fence)
    assert await journal.reservation("r") == record("r", 2, 2)
    await journal.append(0, 2, [released(3, "r", 2)], claim.fence)
    found = await journal.reservation("r")
    assert found is not None
    assert found.state == "released"
    assert await journal.reservation("other") is None


async def test_a_reservation_that_was_there_before_its_first_entry_stops_nothing(
    journal: Journal, connection: asyncpg.Connection
) -> None:
    claim = await journal.claim(0, "a")
    await journal.append(0, 0, [opened(), held(2, "r")], claim.fence)
    # as after a repair by hand: another one has the row of its future
    await connection.execute("update reservations set id = 'next', first_seq = 3, updated_seq = 1, state = 'released'")
    await journal.append(0, 2, [held(3, "next"), held(4, "other")], claim.fence)
    assert [await journal.reservation(id) for id in ("next", "other")] == [record("next", 3, 3), record("other", 4, 4)]
    assert await journaled(journal) == [1, 2, 3, 4]


async def test_every_change_of_a_reservation_is_in_its_history(
    journal: Journal, connection: asyncpg.Connection
) -> None:
    changes = [
        changed(kind, seq, "r", 2) for seq, kind in enumerate((Committed, Acknowledged, Transferred, Fulfilled), 3)
    ]
    claim = await journal.claim(0, "a")
    await journal.append(0, 0, [opened(), held(2, "r"), *changes], claim.fence)
    assert (await journal.history("r"))[1:] == changes
    assert await journal.reservation("r") == changes[-1].reservation
    rows = await connection.fetch("select kind from entries where subject = 'r' order by seq")
    assert [row["kind"] for row in rows] == ["held", "committed", "acknowledged", "transferred", "fulfilled"]


def test_every_entry_has_a_kind_of_its_own() -> None:
    assert set(KINDS) == set(AnyEntry.__args__)
    assert len(set(KINDS.values())) == len(KINDS)


async def test_a_delta_keeps_the_level_below_it(journal: Journal, connection: asyncpg.Connection) -> None:
    claim = await journal.claim(0, "a")
    await journal.append(0, 0, [opened(), delta(2, 5, 5)], claim.fence)
    await journal.append(0, 2, [level(3, 10), delta(4, -1, 9)], claim.fence)
    await journal.append(0, 4, [delta(5, -2, 7)], claim.fence)
    row = await connection.fetchrow("select quantity, number, seq, generation, version_low from levels")
    assert row is not None
    assert tuple(row) == (10, 7, 5, 1, 3)


async def test_a_crash_between_commit_and_trim_repeats_nothing(journal: Journal) -> None:
    """The drainer that comes back still finds the entries in the outbox; the watermark tells that they are written."""
    first = await journal.claim(0, "a")
    await journal.append(0, 0, run_of(1, 5), first.fence)
    second = await journal.claim(0, "b")
    assert second.seq == 5
    with pytest.raises(Fenced):
        await journal.append(0, 0, run_of(1, 5), second.fence)
    await journal.append(0, second.seq, run_of(6, 2), second.fence)
    assert await journaled(journal) == list(range(1, 8))


async def test_an_older_claim_is_fenced(journal: Journal) -> None:
    old = await journal.claim(0, "old")
    new = await journal.claim(0, "new")
    with pytest.raises(Fenced):
        await journal.append(0, 0, run_of(1, 3), old.fence)
    with pytest.raises(Fenced):
        await journal.move_published(old, 3, 3)
    assert await journaled(journal) == []
    await journal.append(0, 0, run_of(1, 3), new.fence)


async def test_two_drainers_racing_write_each_entry_once(journal: Journal) -> None:
    claim = await journal.claim(0, "a")
    outcomes = await asyncio.gather(
        *(journal.append(0, 0, run_of(1, 50), claim.fence) for _ in range(3)), return_exceptions=True
    )
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Fenced", "Fenced", "NoneType"]
    assert await journaled(journal) == list(range(1, 51))


async def test_a_stopped_drainer_does_not_keep_its_successor_waiting(migrated: str, namespace: str) -> None:
    """A process stopped inside its transaction holds the watermark's row; the server ends that transaction."""
    stopped = Journal(patient_journal(migrated, namespace, idle_transaction_s=0.3))
    journal = Journal(patient_journal(migrated, namespace, takeover_s=20.0))
    await stopped.open()
    await journal.open()
    try:
        claim = await journal.claim(0, "a")
        async with stopped._connections.take() as connection:
            await connection.execute("begin; update watermarks set seq = 1 where partition = 0")
            successor = await journal.claim(0, "b")  # waits for the row, then gets it
    finally:
        await stopped.close()
        await journal.close()
    assert (successor.seq, successor.fence) == (0, claim.fence + 1)


async def test_a_drainer_stopped_inside_a_statement_is_cut_off(
    journal: Journal, connection: asyncpg.Connection, migrated: str
) -> None:
    """As in the middle of a COPY: the server waits for it as long as for any statement, and a successor does not."""
    claim = await journal.claim(0, "a")
    stopped = await asyncpg.connect(migrated)

    async def work() -> None:
        async with stopped.transaction():
            await stopped.execute("update watermarks set seq = 1 where partition = 0; select pg_sleep(60)")

    task = asyncio.create_task(work())
    sleeping = "select count(*) from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()"
    await wait_until_async(partial(connection.fetchval, sleeping), description="the writer to have the row")
    successor = await journal.claim(0, "b")
    assert (successor.seq, successor.fence) == (0, claim.fence + 1)
    (ended,) = await asyncio.gather(task, return_exceptions=True)
    assert isinstance(ended, asyncpg.PostgresError | asyncpg.InterfaceError)


@pytest.mark.parametrize("committed", [True, False])
async def test_after_an_unknown_commit_the_watermark_tells(
    journal: Journal, migrated: str, namespace: str, committed: bool
) -> None:
    """The caller sees the same error whether the server had committed or not, and asks."""
    claim = await journal.claim(0, "a")
    async with cut_at(b"COMMIT", migrated, forward=committed) as url:
        cut = Journal(patient_journal(url, namespace))
        await cut.open()
        with pytest.raises(JournalUnavailable):
            await cut.append(0, 0, run_of(1, 4), claim.fence)
        await cut.close()
    watermark = await journal.watermark(0)
    assert watermark is not None
    assert watermark.seq == (4 if committed else 0)
    await journal.append(0, watermark.seq, run_of(watermark.seq + 1, 4), claim.fence)
    assert await journaled(journal) == list(range(1, watermark.seq + 5))


@pytest.mark.parametrize("seqs", [(2, 3), (1, 3), (1, 1)])
async def test_a_gap_is_refused(journal: Journal, seqs: tuple[int, ...]) -> None:
    claim = await journal.claim(0, "a")
    with pytest.raises(JournalGap):
        await journal.append(0, 0, [held(seq) for seq in seqs], claim.fence)
    assert await journaled(journal) == []


async def test_a_new_epoch_may_start_further_on(journal: Journal) -> None:
    claim = await journal.claim(0, "a")
    await journal.append(0, 0, run_of(1, 3), claim.fence)
    await journal.append(0, 3, [opened(1 << 20, epoch=2), held((1 << 20) + 1)], claim.fence)
    watermark = await journal.watermark(0)
    assert watermark is not None
    assert (watermark.epoch, watermark.seq) == (2, (1 << 20) + 1)


async def test_an_id_used_again_is_kept_twice_and_reported(journal: Journal, connection: asyncpg.Connection) -> None:
    claim = await journal.claim(0, "a")
    await journal.append(0, 0, [opened(), held(2, "r"), held(3, "s")], claim.fence)
    await journal.append(0, 3, [held(4, "r")], claim.fence)
    found = await journal.reservation("r")
    assert found is not None
    assert found.first_seq == 4
    rows = await connection.fetch(
        "select kind, detail->>'reservation' as id, detail->'earlier' as earlier from exceptions"
    )
    assert [tuple(row) for row in rows] == [("late-duplicate", "r", "[2]")]
    assert await connection.fetchval("select count(*) from reservations") == 3


async def test_text_postgresql_cannot_hold_does_not_stop_the_journal(journal: Journal) -> None:
    entry = held(2, "r")
    entry.cause = "a\0b"
    entry.reservation.customer = "c\0"
    entry.reservation.lines[0].sku = "s\0"
    entry.reservation.metadata = '{"k": "\\u0000"}'  # escaped, as JSON wants it: kept as it is
    claim = await journal.claim(0, "a")
    await journal.append(0, 0, [opened(), entry, policy(3, "{}\0", 3)], claim.fence)
    found = await journal.reservation("r")
    assert found is not None
    assert found.customer == "c\ufffd"
    assert found.metadata == '{"k": "\\u0000"}'


async def test_days_are_made_ahead_and_a_day_without_partition_is_kept(
    journal: Journal, connection: asyncpg.Connection
) -> None:
    today = datetime.now(UTC).replace(hour=12)
    far = int((today + timedelta(days=400)).timestamp() * 1000)
    near = int((today + timedelta(days=3)).timestamp() * 1000)
    assert await journal.ensure_days() == 8
    assert await journal.ensure_days() == 0
    claim = await journal.claim(0, "a")
    await journal.append(0, 0, [opened(), held(2, at=near), held(3, at=far)], claim.fence)
    rows = await connection.fetch("select tableoid::regclass::text as name from entries where seq > 1 order by seq")
    assert [row["name"] for row in rows] == [f"entries_{today + timedelta(days=3):%Y%m%d}", "entries_default"]
    # The day that is already in the default partition stays there, and the days around it are made.
    day = (today + timedelta(days=399)).date()
    assert await connection.fetchval("select ensure_entry_days($1, 3)", day) == 2
    assert await journaled(journal) == [1, 2, 3]


async def test_published_cursors_only_grow(journal: Journal) -> None:
    claim = await journal.claim(0, "a")
    await journal.move_published(claim, 10, 8)
    await journal.move_published(claim, 9, 9)
    again = await journal.claim(0, "a")
    assert (again.published, again.announced) == (10, 9)


async def test_another_namespace_is_refused(journal: Journal, migrated: str) -> None:
    other = Journal(patient_journal(migrated, "other"))
    with pytest.raises(JournalForeign, match="'other'"):
        await other.open()


async def test_a_server_that_is_away_is_told_by_every_call() -> None:
    journal = Journal(JournalSettings("postgres://atp:x@127.0.0.1:1/atp", connect_s=0.5))
    await journal.open()
    with pytest.raises(JournalUnavailable):
        await journal.heads()
    await journal.close()


async def test_closing_lets_what_is_under_way_end(journal: Journal, connection: asyncpg.Connection) -> None:
    """The answer is there, and must not turn into a failure of ours when its connection is given back."""
    claim = await journal.claim(0, "a")
    async with connection.transaction():
        await connection.execute("lock table entries")
        appending = asyncio.create_task(journal.append(0, 0, [opened()], claim.fence))
        waits = "select 1 from pg_locks where not granted"
        await wait_until_async(lambda: connection.fetchval(waits))
        closing = asyncio.create_task(journal.close())
        await wait_until_async(lambda: journal._connections._pool is None)
    await appending
    await closing
    assert await connection.fetchval("select count(*) from entries") == 1


async def test_partitions_do_not_share_a_watermark(journal: Journal) -> None:
    zero, one = await journal.claim(0, "a"), await journal.claim(1, "b")
    await journal.append(0, 0, run_of(1, 3), zero.fence)
    await journal.append(1, 0, [opened(), held(2, "x", at=AT)], one.fence)
    assert await journal.heads() == {0: 3, 1: 2}


async def test_an_unreachable_database_is_named_without_its_password() -> None:
    journal = Journal(JournalSettings("postgres://atp:secret@127.0.0.1:1/atp"))
    await journal.open()
    with pytest.raises(JournalUnavailable, match=r"the journal at 127\.0\.0\.1:1: ") as problem:
        await journal.heads()
    assert "secret" not in str(problem.value)
    await journal.close()
