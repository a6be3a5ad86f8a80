"""A server whose memory is full: what ends units goes on, nothing new is taken, and service returns by itself (R26)."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from atp.dev.valkey import Valkey
from atp.domain.commands import Change, Extend, Fulfil, Level, PutPolicy, Release, Reserve, ReserveLine
from atp.domain.entries import Expired
from atp.domain.ids import reservation_id
from atp.domain.outcomes import Outcome
from atp.ledger import Ledger, LedgerUnavailable
from atp.ledger.connection import Connection
from tests.support import connected, patient_ledger, wait_until_async

from .conftest import Opening
from .made import confirm, level, reserve

pytestmark = pytest.mark.anyio


@pytest.fixture
async def ledger(open_ledger: Opening, own_valkey: Valkey) -> Ledger:
    ledger = await open_ledger(patient_ledger(own_valkey.url))
    await ledger.apply([level("A", 1_000)])
    return ledger


@pytest.fixture
async def server(own_valkey: Valkey) -> AsyncIterator[Connection]:
    connection = await connected(own_valkey.url)
    yield connection
    await connection.end()


async def fill(server: Connection) -> None:
    """Bound the memory by half of what is used now."""
    used = (await server.ask("INFO", "memory")).decode().split("used_memory:")[1].split("\r")[0]
    await server.ask("CONFIG", "SET", "maxmemory", int(used) // 2)


async def held(ledger: Ledger) -> int:
    return (await ledger.availability(["A"]))[0].locations[0].balance.held


async def test_units_are_confirmed_and_released_and_none_are_taken(ledger: Ledger, server: Connection) -> None:
    await ledger.apply([reserve("paid", quantity=3), reserve("left", quantity=2), reserve("waits", quantity=1)])
    await ledger.apply([reserve("sent", quantity=4), confirm("sent")])
    await fill(server)
    with pytest.raises(LedgerUnavailable, match="full"):
        await ledger.submit(reserve("new"))
    assert (await ledger.submit(confirm("paid"))).outcome is Outcome.APPLIED
    assert (await ledger.submit(Release(reserve("left").id, Change(2, 1), "", []))).outcome is Outcome.APPLIED
    assert (await ledger.submit(Extend(reserve("waits").id, Change(3, 1), 900_000))).outcome is Outcome.APPLIED
    assert (await ledger.submit(level("A", 900, 2))).outcome is Outcome.APPLIED
    assert (await ledger.submit(Fulfil(reserve("sent").id, Change(4, 1), []))).outcome is Outcome.APPLIED
    for refused in (level("B", 1), PutPolicy("location", "DC2", "{}")):
        with pytest.raises(LedgerUnavailable, match="full"):
            await ledger.submit(refused)
    stock = await ledger.availability(["A", "B"])
    assert (stock[0].locations[0].balance.held, stock[0].locations[0].balance.committed) == (1, 3)
    assert stock[1].locations == []
    assert await ledger.reservation(reserve("new").id) is None


async def test_one_batch_is_split_and_the_rest_keeps_its_order(ledger: Ledger, server: Connection) -> None:
    await ledger.apply([reserve("a"), reserve("b")])
    await fill(server)
    release = Release(reserve("a").id, Change(2, 1), "committed", [])
    waiting = [ledger.submit(command) for command in (reserve("c"), confirm("a"), reserve("d"), release, confirm("b"))]
    for refused in (waiting[0], waiting[2]):
        with pytest.raises(LedgerUnavailable, match="full"):
            await refused
    assert [(await waiting[n]).outcome for n in (1, 3, 4)] == [Outcome.APPLIED] * 3
    assert (await ledger.availability(["A"]))[0].locations[0].balance.committed == 1
    assert await held(ledger) == 0


async def test_holds_expire_while_memory_is_full(ledger: Ledger, server: Connection) -> None:
    await ledger.submit(reserve("short", quantity=5, ttl_ms=1))
    await fill(server)
    stop = asyncio.Event()
    sweeping = asyncio.create_task(ledger.sweep(stop))

    async def free() -> bool:
        return await held(ledger) == 0

    await wait_until_async(free, 10, "the hold expires")
    stop.set()
    await sweeping
    assert any(isinstance(entry, Expired) for entry in await ledger.read_entries(0, 0, 100))


async def test_the_outbox_is_emptied_while_memory_is_full(ledger: Ledger, server: Connection) -> None:
    """What frees memory must not need any: the drainer's lease, its reading and its trim."""
    await fill(server)
    assert await ledger.lease("outbox-0", "drainer", 60_000)
    assert await ledger.lease("outbox-0", "drainer", 60_000)
    assert not await ledger.lease("outbox-0", "another", 60_000)
    entries = await ledger.read_entries(0, 0, 100)
    await ledger.trim(0, entries[-1].seq)
    assert (await ledger.heads())[0].outbox_length == 0


async def test_service_returns_when_memory_is_given_back(ledger: Ledger, server: Connection) -> None:
    await fill(server)
    with pytest.raises(LedgerUnavailable):
        await ledger.submit(reserve("r"))
    await server.ask("CONFIG", "SET", "maxmemory", 0)
    assert (await ledger.submit(reserve("r"))).outcome is Outcome.APPLIED


async def test_a_refused_basket_leaves_nothing_behind(ledger: Ledger, server: Connection) -> None:
    lines = [ReserveLine(str(n), "A", 1) for n in range(20)]
    basket = Reserve(reservation_id("shop", "basket", "A"), 1, "shop", "web", "", "", "", "", 600_000, lines)
    before = await ledger.heads()
    await fill(server)
    with pytest.raises(LedgerUnavailable):
        await ledger.submit(basket)
    assert [head.seq for head in await ledger.heads()] == [head.seq for head in before]
    assert await held(ledger) == 0


async def test_an_event_feed_stops_at_what_needs_memory_and_can_repeat_it(ledger: Ledger, server: Connection) -> None:
    await fill(server)
    events: list[Level] = [level("A", 10, 2), level("B", 5), level("A", 11, 3)]
    with pytest.raises(LedgerUnavailable):
        await ledger.apply(events)
    await server.ask("CONFIG", "SET", "maxmemory", 0)
    outcomes = [result.outcome for result in await ledger.apply(events)]
    assert outcomes == [Outcome.STALE, Outcome.APPLIED, Outcome.STALE]
    assert [stock.ats for stock in await ledger.availability(["A", "B"])] == [11, 5]
