"""Retention: whole days go, oldest first, as the owner said, and never one that a rebuild or the publisher needs."""

from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from atp.domain.entries import AnyEntry, LevelSet
from atp.domain.explain import explain
from atp.domain.records import Asked, Balance
from atp.journal import Asked as Search
from atp.journal import Claim, Journal, NotJournaled, administer
from tests.rooms.journal.made import held, level, opened, policy, released

pytestmark = pytest.mark.anyio

STORE = '{"kind":"store","sources":[{"source":"wms","role":"authority"}]}'
NOON = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)


def at(days_ago: int) -> int:
    return int((NOON - timedelta(days=days_ago)).timestamp() * 1000)


def table(days_ago: int) -> str:
    return f"entries_{NOON - timedelta(days=days_ago):%Y%m%d}"


def dated[E: AnyEntry](entry: E, days_ago: int) -> E:
    entry.at = at(days_ago)
    if isinstance(entry, LevelSet):
        entry.balances = [Balance(entry.sku, "DC1", entry.number, 0, 0, 0, 0)]
    return entry


async def four_days(journal: Journal, connection: asyncpg.Connection) -> Claim:
    """Two entries a day from three days ago until today, all published."""
    first = (NOON - timedelta(days=3)).date()
    await connection.execute("select ensure_entry_days($1, 5)", first)
    claim = await journal.claim(0, "a")
    days: list[list[AnyEntry]] = [
        [opened(), policy(2, STORE, 2), level(3, 10), level(4, 7, "OLD")],
        [held(5), level(6, 8)],
        [held(7), level(8, 9)],
        [held(9), level(10, 12)],
    ]
    after = 0
    for index, entries in enumerate(days):
        await journal.append(0, after, [dated(entry, 3 - index) for entry in entries], claim.fence)
        after = entries[-1].seq
    await journal.move_published(claim, after, after)
    return claim


async def baseline(connection: asyncpg.Connection, seq: int, *, complete: bool = True) -> None:
    await connection.execute(
        "insert into baselines (partition, seq, epoch, at, live, complete) values (0, $1, 1, now(), false, $2)",
        seq, complete,
    )  # fmt: skip


async def seqs(connection: asyncpg.Connection) -> list[int]:
    return [row["seq"] for row in await connection.fetch("select seq from entries order by seq")]


async def test_everything_stays_until_somebody_says_otherwise(
    journal: Journal, connection: asyncpg.Connection, migrated: str
) -> None:
    await four_days(journal, connection)
    await baseline(connection, 10)
    assert await journal.retire_day() is None
    await administer(migrated, keep_days=4, drop_old=False)
    assert await journal.retire_day() is None
    assert await seqs(connection) == list(range(1, 11))
    assert await journal.begins(0) == 0


async def test_days_go_oldest_first_and_stay_as_tables(
    journal: Journal, connection: asyncpg.Connection, migrated: str
) -> None:
    await four_days(journal, connection)
    await baseline(connection, 10)
    await administer(migrated, keep_days=1, drop_old=False)
    assert [await journal.retire_day() for _ in range(3)] == [table(3), table(2), None]
    # What the policies are is still told, and where the rest begins.
    assert await seqs(connection) == [1, 2, 7, 8, 9, 10]
    assert await journal.begins(0) == 7
    assert await connection.fetchval(f"select count(*) from {table(3)}") == 4
    entries = await journal.entries_after(0, 6, 100)
    assert [entry.seq for entry in entries] == [7, 8, 9, 10]
    claim = await journal.claim(0, "b")
    await journal.append(0, 10, [dated(held(11), 0)], claim.fence)


async def test_old_days_can_be_dropped(journal: Journal, connection: asyncpg.Connection, migrated: str) -> None:
    await four_days(journal, connection)
    await baseline(connection, 10)
    await administer(migrated, keep_days=2, drop_old=True)
    assert [await journal.retire_day() for _ in range(2)] == [table(3), None]
    assert await connection.fetchval("select to_regclass($1)", table(3)) is None
    await administer(migrated, keep_days=0, drop_old=False)
    assert await connection.fetchval("select keep_days from retention") is None


async def test_nothing_goes_that_the_newest_baseline_does_not_cover(
    journal: Journal, connection: asyncpg.Connection, migrated: str
) -> None:
    await four_days(journal, connection)
    await administer(migrated, keep_days=1, drop_old=True)
    assert await journal.retire_day() is None
    await baseline(connection, 10, complete=False)
    await baseline(connection, 3)
    assert await journal.retire_day() is None  # the day ends at 4
    await baseline(connection, 4)
    assert [await journal.retire_day() for _ in range(2)] == [table(3), None]


async def test_reservations_that_ended_go_with_their_entries(
    journal: Journal, connection: asyncpg.Connection, migrated: str
) -> None:
    """Some at a time; one that is open, that ended later, or whose entries are still there stays."""
    claim = await four_days(journal, connection)
    ends: list[AnyEntry] = [dated(released(11, "r7", 7), 0), dated(released(12, "r9", 9), 0)]
    await journal.append(0, 10, ends, claim.fence)
    old = [dated(held(13, f"old{n}"), 0) for n in range(5)]
    for n, entry in enumerate(old):
        entry.seq = entry.reservation.seq = entry.reservation.first_seq = 13 + n
    await journal.append(0, 12, [*old], claim.fence)
    await journal.move_published(claim, 17, 17)
    await connection.execute("update reservations set created_at = now() - interval '3 days' where id <> 'r9'")
    await connection.execute(
        "update reservations set state = 'expired', updated_seq = 6 where id like 'old%' and id <> 'old4'"
    )
    await baseline(connection, 17)
    assert await journal.prune_reservations() is None, "everything is kept"
    await administer(migrated, keep_days=1, drop_old=True)
    first = await journal.prune_reservations(most=3)
    assert first is not None
    assert (first.looked, first.gone) == (3, 0), "no day has gone yet"
    while await journal.retire_day():
        pass
    looked, gone, at = 0, 0, None
    while at := await journal.prune_reservations(at, most=3):
        looked, gone = looked + at.looked, gone + at.gone
        assert at.looked <= 3
    left = [row["id"] for row in await connection.fetch("select id from reservations order by id")]
    assert left == ["old4", "r5", "r7", "r9"]
    assert (looked, gone) == (7, 4)
    assert await journal.reservation("old0") is None
    found = await journal.search(Search(sku="TSHIRT"), None, 10)
    assert {each.record.id for each in found} == {"old4", "r5", "r7", "r9"}


async def test_nothing_goes_that_is_not_published(
    journal: Journal, connection: asyncpg.Connection, migrated: str
) -> None:
    await four_days(journal, connection)
    await baseline(connection, 10)
    await administer(migrated, keep_days=1, drop_old=True)
    await connection.execute("update watermarks set announced = 5")
    assert [await journal.retire_day() for _ in range(2)] == [table(3), None]


async def test_a_day_that_lies_in_the_default_partition_keeps_those_after_it(
    journal: Journal, connection: asyncpg.Connection, migrated: str
) -> None:
    claim = await journal.claim(0, "a")
    await journal.append(0, 0, [dated(opened(), 9), dated(held(2), 9)], claim.fence)  # no partition was made in time
    await connection.execute("select ensure_entry_days($1, 1)", (NOON - timedelta(days=5)).date())
    await journal.append(0, 2, [dated(held(3), 5)], claim.fence)
    await journal.move_published(claim, 3, 3)
    await baseline(connection, 3)
    await administer(migrated, keep_days=1, drop_old=True)
    assert await journal.retire_day() is None


async def test_an_explanation_says_where_the_journal_begins(
    journal: Journal, connection: asyncpg.Connection, migrated: str
) -> None:
    await four_days(journal, connection)
    before = {seq: explain(await journal.explanation(0, seq, "TSHIRT"), Asked()).ats for seq in range(8, 11)}
    await baseline(connection, 10)
    await administer(migrated, keep_days=1, drop_old=True)
    while await journal.retire_day():
        pass
    assert before == {seq: explain(await journal.explanation(0, seq, "TSHIRT"), Asked()).ats for seq in range(8, 11)}
    for seq, sku in ((6, "TSHIRT"), (10, "OLD")):
        with pytest.raises(NotJournaled, match="begins at 7"):
            await journal.explanation(0, seq, sku)
    rows = await connection.fetch("select sku, seq from position_changes where seq < 7 order by seq")
    assert [tuple(row) for row in rows] == [("OLD", 4), ("TSHIRT", 6)]  # the last of each: it was changed, and before
