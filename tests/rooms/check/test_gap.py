"""A journal that was restored to an older state, and went on behind a gap, learns of the ledger what it lost (R20)."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import msgspec
import pytest

from atp.check import Finding
from atp.domain.commands import Change, PutPolicy, Raise, Release, Resolve
from tests.rooms.check.room import Room, confirm, id_of, level, reserve
from tests.support import asking

pytestmark = pytest.mark.anyio

#: What a backup of the journal has beside its entries.
TABLES = ("reservations", "levels", "policies", "exceptions")


@pytest.fixture
async def journal(database: str) -> AsyncIterator[asyncpg.Connection]:
    async with asking(database) as connection:
        yield connection


async def save(journal: asyncpg.Connection) -> None:
    for table in TABLES:
        await journal.execute(f"create table saved_{table} as select * from {table}")
    await journal.execute("create table saved_seq as select seq from watermarks")


async def restore(journal: asyncpg.Connection) -> None:
    """As the backup has it; the ledger has trimmed what came since."""
    async with journal.transaction():
        for table in TABLES:
            given = "overriding system value" if table == "exceptions" else ""
            await journal.execute(f"delete from {table}")
            await journal.execute(f"insert into {table} {given} select * from saved_{table}")
        await journal.execute("delete from entries where seq > (select seq from saved_seq)")
        await journal.execute("delete from position_changes where seq > (select seq from saved_seq)")
        await journal.execute("update watermarks set seq = saved_seq.seq from saved_seq")


async def bury(room: Room, id: str) -> None:
    """As retention does with a record that ended, later."""
    r: list[Any] = msgspec.msgpack.decode(await room.ask("HGET", "res", id[3:]))
    tombstone = [1, r[5], id[:3], "released", r[3], []]
    await room.connection.ask("HSET", room.key("res"), id[3:], msgspec.msgpack.encode(tombstone))


async def told(room: Room) -> list[Finding]:
    return (await room.check())[1]


async def test_after_a_gap_the_ledger_is_right_and_the_journal_is_told(room: Room, journal: asyncpg.Connection) -> None:
    await room.apply(level("A", 20), *(reserve(f"a{n}") for n in range(4)), Raise("late-delta", "A", "DC1"))
    await room.drained()
    (raised,) = await room.journal.exceptions("late-delta")
    await save(journal)
    await room.apply(
        level("A", 25, 2), level("B", 7), confirm("a0"), reserve("new"), Raise("gap"),
        *(Release(id_of(key), Change(3, 3), "all", []) for key in ("a1", "a2")),
    )  # fmt: skip
    await room.ledger.put_policy(PutPolicy("source", "wms", '{"kind":"erp"}'))
    assert raised.seq is not None
    await room.ledger.submit(Resolve("late-delta", "A", "DC1", "", "", raised.seq, "accepted", "seen", "me"))
    await room.drained()
    await bury(room, id_of("a2"))
    await restore(journal)
    await room.apply(level("C", 1))
    await room.drained()

    before = await room.balance("A")
    assert {x.what for x in await told(room)} == {"record", "number", "balance", "policy", "exception"}
    _, findings = await room.check(repair=True)
    assert all(x.repaired for x in findings), findings
    await room.drained()
    assert await told(room) == []
    assert await room.balance("A") == before, "what is sold from is as it was"
    rows = await journal.fetch("select id, state from reservations")
    states = {row["id"]: row["state"] for row in rows}
    wanted = {"a0": "committed", "a1": "released", "a2": "released", "a3": "held", "new": "held"}
    assert states == {id_of(key): state for key, state in wanted.items()}
    levels = await journal.fetch("select sku, number from levels order by sku")
    assert [tuple(row) for row in levels] == [("A", 25), ("B", 7), ("C", 1)]
    policy = await room.ledger.policy("source", "wms")
    assert policy is not None
    assert policy.body == '{"kind":"erp"}'
    assert [x.resolution for x in await room.journal.exceptions("late-delta")] == ["over"]
    assert [x.resolution for x in await room.journal.exceptions("gap")] == [None]
