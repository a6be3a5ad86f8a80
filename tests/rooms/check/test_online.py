"""A check while others write: no false alarm, real drift found all the same, and a killed one goes on where it was."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from random import Random

import msgspec
import pytest
from msgspec import structs

from atp.check import Checker, Finding, Progress
from atp.check.pace import Pace
from atp.domain.commands import Change, PutPolicy, Release, ReserveLine
from atp.domain.sellers import item_channel
from atp.journal import migrate
from tests.rooms.check.room import FAST, Room, confirm, fulfil, id_of, level, reserve
from tests.support import asking, wait_until_async

pytestmark = pytest.mark.anyio

#: Few records are looked at in small pages, many in large ones.
BUSY = structs.replace(FAST, page=256, chunk=200)

SKUS = [f"S{n}" for n in range(12)]


@asynccontextmanager
async def traffic(room: Room, done: Counter[str], buyers: int = 8) -> AsyncIterator[None]:
    """Buyers, and a source that tells new levels, as long as somebody is inside."""
    stop = asyncio.Event()

    async def buyer(n: int) -> None:
        draw = Random(n)
        for turn in range(1_000_000):
            if stop.is_set():
                return
            sku, key = draw.choice(SKUS[:3] if draw.random() < 0.7 else SKUS), f"{n}-{turn}"
            await room.ledger.submit(reserve(key, sku, 1, order=key, customer=f"c{n}"))
            if (kind := draw.random()) < 0.6:
                await room.ledger.submit(confirm(key, sku, key))
            if kind < 0.3:
                await room.ledger.submit(fulfil(key, sku))
            elif kind > 0.8:
                await room.ledger.submit(Release(id_of(key, sku), Change(3, 3), "all", []))
            done["bought"] += 1
            await asyncio.sleep(0.01)

    async def source() -> None:
        for version in range(100, 1_000_000):
            if stop.is_set():
                return
            await room.ledger.apply([level(sku, 1_000_000 + version, version) for sku in SKUS])
            await asyncio.sleep(0.05)

    tasks = [asyncio.create_task(buyer(n)) for n in range(buyers)] + [asyncio.create_task(source())]
    try:
        yield
    finally:
        stop.set()
        await asyncio.gather(*tasks)


async def shop(room: Room) -> None:
    await room.apply(*(level(sku, 1_000_000) for sku in SKUS))
    await room.ledger.put_policy(PutPolicy("item-channel", item_channel(SKUS[0], "web"), '{"cap":900000}'))
    await room.ledger.put_policy(PutPolicy("item-channel", item_channel(SKUS[1], "app"), '{"protection":50}'))


async def test_a_clean_ledger_under_traffic_raises_no_alarm(room: Room) -> None:
    await shop(room)
    done: Counter[str] = Counter()
    async with traffic(room, done):
        await wait_until_async(lambda: done["bought"] > 100, description="traffic")
        before = done["bought"]
        for _ in range(2):
            _, findings = await room.check(settings=BUSY)
            assert findings == []
        assert done["bought"] > before, "nobody waited for the check"


async def test_drift_of_the_busiest_position_is_found_to_the_unit_and_repaired_under_traffic(room: Room) -> None:
    await shop(room)
    done: Counter[str] = Counter()
    async with traffic(room, done):
        await wait_until_async(lambda: done["bought"] > 50, description="traffic")
        raised = 0
        while not raised:  # between two batches of others: whoever loses the race tries again
            raised = await _spoil_held(room, SKUS[0], 7)
        _, (finding,) = await room.check(repair=True, settings=BUSY)
        assert (finding.what, finding.sku, finding.by, finding.repaired) == ("held", SKUS[0], -7, True)
        assert (await room.check(settings=BUSY))[1] == []


async def _spoil_held(room: Room, sku: str, units: int) -> int:
    """Add units to a counter, in one step of the server."""
    script = (
        "local r = cmsgpack.unpack(redis.call('HGET', KEYS[1], ARGV[1])) r[2] = r[2] + ARGV[2] "
        "return redis.call('HSET', KEYS[1], ARGV[1], cmsgpack.pack(r)) + 1"
    )
    return await room.connection.ask("EVAL", script, 1, room.key("pos"), f"{sku}\0DC1", units)


async def test_a_killed_check_goes_on_where_it_was(room: Room) -> None:
    class Killed(Exception):
        pass

    await shop(room)
    await room.apply(*(reserve(f"k{n}", SKUS[n % 12]) for n in range(300)))
    await _spoil_held(room, SKUS[5], 2)
    whole, _ = await room.check()
    seen: list[int] = []

    def watch(progress: Progress) -> None:
        seen.append(progress.looked)
        if progress.looked > whole.looked / 2:
            raise Killed

    id = await room.journal.checking.request("tests", repair=False, share=1.0)
    with pytest.raises(Killed):
        await Checker(room.ledger, room.journal, FAST).check(id, watch)
    row = await room.journal.checking.run(id)
    assert row is not None
    assert (row.status, row.found) == ("running", 0)
    assert 0.2 < row.progress < 0.8

    successor = Checker(room.ledger, room.journal, FAST)
    await wait_until_async(lambda: successor.run_once(asyncio.Event()), description="it is taken over")
    row = await room.journal.checking.run(id)
    assert row is not None
    assert (row.status, row.found, row.progress) == ("done", 1, 1.0)
    assert row.looked <= whole.looked + FAST.page, "what was looked at was not looked at again"
    (body,) = await room.journal.checking.findings(id, 10)
    assert msgspec.json.decode(body, type=Finding).by == -2


async def test_a_slow_check_is_not_taken_for_dead(room: Room) -> None:
    await shop(room)
    await room.apply(*(reserve(f"k{n}", SKUS[n % 12]) for n in range(100)))
    settings = structs.replace(FAST, page=16, save_every_s=60.0)
    id = await room.journal.checking.request("tests", repair=False, share=0.01)
    running = asyncio.create_task(Checker(room.ledger, room.journal, settings).check(id, lambda _: None))

    asked = "select extract(epoch from beat_at - started_at) from checks where id = $1 and status = 'running'"
    async with asking(room.journal._settings.url) as connection:

        async def lives() -> bool:
            """It says so again and again, for longer than it may be silent."""
            return (await connection.fetchval(asked, id) or 0) > 2 * settings.dead_after_s

        await wait_until_async(lives, description="it says that it lives")
    assert not running.done()
    assert await room.journal.checking.claim("another", 60.0, id) is None
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    claim = partial(room.journal.checking.claim, "another", settings.dead_after_s, id)
    await wait_until_async(claim, description="now it is dead")


async def test_a_pause_follows_each_call_as_its_share_asks() -> None:
    pace, loop = Pace(0.25), asyncio.get_running_loop()
    began = loop.time()
    await pace.take(asyncio.sleep(0.02))
    assert loop.time() - began >= 0.9 * 4 * 0.02


async def test_one_check_at_a_time(room: Room) -> None:
    first = await room.journal.checking.request("a", repair=False, share=1.0)
    second = await room.journal.checking.request("b", repair=False, share=1.0)
    assert await room.journal.checking.claim("x", 60.0) is not None
    assert await room.journal.checking.claim("y", 60.0) is None
    await room.journal.checking.end(first, "x", "done", "")
    run = await room.journal.checking.claim("y", 60.0)
    assert run is not None
    assert run.id == second


async def test_baskets_over_partitions(valkey: str, database: str, namespace: str) -> None:
    await migrate(database)
    async with Room(valkey, database, namespace, partitions=2) as room:
        await shop(room)
        for n in range(30):
            first, second = sorted((SKUS[n % 12], SKUS[(n + 5) % 12]))
            lines = [ReserveLine("1", first, 1), ReserveLine("2", second, 2)]
            await room.apply(structs.replace(reserve(f"k{n}", first), lines=lines))
        done: Counter[str] = Counter()
        async with traffic(room, done, buyers=2):
            await wait_until_async(lambda: done["bought"] > 20, description="traffic")
            assert (await room.check(settings=BUSY))[1] == []
