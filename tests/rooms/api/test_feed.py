"""The feed of availability: from nothing to the live numbers, over kills, restarts, rebuilds, without a gap (R33)."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable

import nats as nats_client
import pytest
from nats.aio.client import Client as Nats
from nats.js.api import StreamConfig

from atp.api.following import changes as changes_module
from atp.api.following.changes import Found, gather
from atp.api.following.cursors import Cursor, Walk, parse
from atp.domain.commands import PutPolicy
from atp.domain.entries import LedgerOpened
from atp.ledger import Ledger
from atp.outbox.messages import Messages
from tests.rooms.outbox.conftest import room
from tests.rooms.outbox.room import Room, level, release, reserve
from tests.support import patient_ledger, wait_until_async

from .conftest import Api, assert_problem, served
from .feed_room import PATH, Events, Reader, process

__all__ = ["room"]

pytestmark = pytest.mark.anyio


@pytest.fixture
async def nc(nats: str) -> AsyncIterator[Nats]:
    client = await nats_client.connect(nats, pending_size=0)
    yield client
    await client.close()


@pytest.fixture
async def shop(room: Room, nc: Nats) -> AsyncIterator[Api]:
    """A process of a room whose outbox works."""
    async with room.running(), process(room, nc) as api:
        await published(room)
        yield api


async def published(room: Room) -> None:
    """Until everything that happened stands in the stream."""

    async def done() -> bool:
        heads = await room.ledger.heads()
        marks = [await room.journal.watermark(partition) for partition in range(len(heads))]
        pairs = zip(heads, marks, strict=True)
        return all(mark and min(mark.published, mark.announced) >= head.seq for head, mark in pairs)

    await wait_until_async(done, 20, "all is published")


def test_cursors_are_what_they_were_written_as() -> None:
    for cursor in (Cursor(5, 9), Cursor(2**32 - 1, 2**40, Walk(63, 2**63, 2**32 - 1)), Cursor(0, 0, Walk())):
        assert parse(str(cursor)) == cursor
        assert len(str(cursor)) <= 64
    for text in ("", "1", "1-5", "2-5-9", "1-5-9-0", "1-5-9-0-0-0-0", "1-ü-9", "1-5-" + "z" * 14):
        assert parse(text) is None, text


def test_states_of_a_sku_are_merged_and_no_sku_is_left_behind() -> None:
    events = [(1, "A"), (2, "B"), (3, "A"), (5, "C"), (8, "B"), (9, "D")]
    assert gather(events, 9, 12) == Found(["A", "C", "B", "D"], 12)
    assert gather(events, 2, 12) == Found(["A", "C"], 5)  # B changed again later, and is told then
    assert gather([*events, (10, "")], 9, 12).all
    known: set[str] = set()
    through = 0
    while through < 12:
        found = gather([event for event in events if event[0] > through], 1, 12)
        known, through = known | set(found.skus), found.through
    assert known == {"A", "B", "C", "D"}


async def test_a_reader_begins_with_all_skus_and_goes_on_with_what_changes(room: Room, shop: Api) -> None:
    await room.apply(*(level(n, sku=f"S{n}") for n in range(40)))
    await published(room)
    reader = Reader(shop)
    assert sorted(await reader.read_all(limit=7)) == sorted(f"S{n}" for n in range(40))
    assert reader.ats == {f"S{n}": n for n in range(40)}
    assert await reader.read() == []
    await room.apply(reserve("a", 3, "S5"), reserve("b", 2, "S7"), reserve("c", 1, "S5"))
    await wait_until_async(lambda: changed(reader, {**reader.ats, "S5": 1, "S7": 5}))
    assert reader.ats["S8"] == 8


async def test_a_long_poll_is_answered_by_the_first_change(room: Room, shop: Api) -> None:
    await room.apply(level(9, sku="A"))
    await published(room)
    reader = Reader(shop)
    await reader.read_all()
    assert await reader.read(wait=0) == []
    waiting = asyncio.create_task(reader.read(wait=20))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    await room.apply(reserve("a", 1, "A"))
    assert await asyncio.wait_for(waiting, 15) == ["A"]
    assert reader.ats["A"] == 8
    assert await reader.read(wait=1) == []


async def test_events_are_the_same_pages_and_resume(room: Room, shop: Api) -> None:
    await room.apply(level(9, sku="A"), level(5, sku="B"))
    await published(room)
    async with Events.of(shop, channel="web") as events:
        assert events.response.headers["content-type"].startswith("text/event-stream")
        first = await events.next()
        assert first is not None
        last, page = first
        assert {change["sku"]: change["ats"] for change in page["changes"]} == {"A": 9, "B": 5}
        assert page["cursor"] == last
    await room.apply(reserve("a", 2, "A"))  # while nobody is connected
    async with Events.of(shop, last) as events:
        found = await events.next()
        assert found is not None
        assert [(change["sku"], change["ats"]) for change in found[1]["changes"]] == [("A", 7)]
        await room.apply(reserve("b", 1, "B"))  # while somebody is
        found = await events.next()
        assert found is not None
        assert [(change["sku"], change["ats"]) for change in found[1]["changes"]] == [("B", 4)]


async def test_readers_killed_fifty_times_during_a_sale_end_with_the_live_numbers(room: Room, nc: Nats) -> None:
    """A reader keeps nothing but its cursor and what it was told; each life is at one of two processes."""
    skus = [f"S{n}" for n in range(12)]
    await room.apply(*(level(1_000, sku=sku) for sku in skus))
    chance = random.Random(7)
    async with room.running(), process(room, nc) as one, process(room, nc) as two:
        one.key = two.key  # the second process gave the client another one
        await published(room)
        selling, sold = asyncio.create_task(sell(room, skus, chance)), 0
        reader = Reader(one, limit=5)
        while sold < 50:
            reader.api = chance.choice((one, two))
            sold += await live(reader, chance)
        selling.cancel()
        await asyncio.gather(selling, return_exceptions=True)
        await published(room)
        await wait_until_async(reader.agrees, 15, "the reader knows the live numbers")
        assert sorted(reader.ats) == sorted(skus)


async def sell(room: Room, skus: list[str], chance: random.Random) -> None:
    for n in range(100_000):
        sku = chance.choice(skus)
        await room.apply(reserve(f"k{n}", chance.randint(1, 3), sku))
        if n % 5 == 4:
            await room.apply(release(f"k{n}"))
        await asyncio.sleep(0.01)


async def live(reader: Reader, chance: random.Random) -> int:
    """One life that ends with a cut connection, sometimes in the middle of an answer; 1 for each."""
    if chance.random() < 0.5:
        fetching = asyncio.create_task(reader.read(wait=5))
        await asyncio.wait([fetching], timeout=chance.random() * 0.3)
        fetching.cancel()
        await asyncio.gather(fetching, return_exceptions=True)
        return 1
    async with Events.of(reader.api, reader.cursor, channel="web", limit=5) as events:
        for _ in range(chance.randint(0, 2)):
            with_next = asyncio.create_task(events.next())
            await asyncio.wait([with_next], timeout=0.5)
            if not with_next.done():
                with_next.cancel()
                await asyncio.gather(with_next, return_exceptions=True)
                break
            if (found := with_next.result()) is not None:
                reader.take(found[1])
    return 1


async def test_all_skus_are_told_though_they_change_and_appear_meanwhile(room: Room, shop: Api) -> None:
    await room.apply(*(level(10, sku=f"S{n}") for n in range(300)))
    await published(room)
    reader = Reader(shop)
    await reader.read(limit=20)
    await room.apply(
        *(reserve(f"k{n}", 1, f"S{n}") for n in range(0, 300, 7)), *(level(3, sku=f"N{n}") for n in range(9))
    )
    await reader.read_all(limit=20)
    await published(room)
    await wait_until_async(reader.agrees, 15)
    assert len(reader.ats) == 309


@pytest.fixture
async def wide(valkey: str, migrated: str, nc: Nats, namespace: str) -> AsyncIterator[Room]:
    """A room of three partitions."""
    room = Room(valkey, migrated, nc, namespace)
    room.ledger_settings = patient_ledger(valkey, namespace, 3)
    room.ledger = Ledger(room.ledger_settings)
    await room.open()
    await room.ledger.put_policy(PutPolicy("location", "DC1", '{"kind":"warehouse"}'))  # for all partitions
    yield room
    await room.close()


async def test_all_partitions_are_followed_by_one_cursor(wide: Room, nc: Nats) -> None:
    async with wide.running(), process(wide, nc) as api:
        await wide.apply(*(level(10, sku=f"S{n}") for n in range(20)))
        await published(wide)
        reader = Reader(api)
        assert len(set(await reader.read_all(limit=4))) == 20
        await wide.apply(*(reserve(f"k{n}", 1, f"S{n}") for n in range(0, 20, 2)))
        await wait_until_async(lambda: changed(reader, {f"S{n}": 9 if n % 2 == 0 else 10 for n in range(20)}), 15)


async def test_a_cursor_outlives_the_process(room: Room, nc: Nats, monkeypatch: pytest.MonkeyPatch) -> None:
    """What lies before a process began is read from the stream, in pages."""
    monkeypatch.setattr(changes_module, "PAGE", 8)
    await room.apply(*(level(10, sku=f"S{n}") for n in range(30)))
    async with room.running():
        await published(room)
        async with process(room, nc) as api:
            reader = Reader(api, limit=100)
            await reader.read_all()
        for n in range(30):
            await room.apply(reserve(f"k{n}", 1, f"S{n}"))
        await published(room)
        async with process(room, nc) as api:
            reader.api = api
            assert len(set(await reader.read_all())) == 30
            assert reader.ats == {f"S{n}": 9 for n in range(30)}
            assert await reader.agrees()


async def test_what_may_have_changed_every_sku_leads_through_all_of_them(room: Room, shop: Api) -> None:
    await room.apply(level(9, sku="A"), level(5, sku="B"))
    await published(room)
    reader = Reader(shop)
    await reader.read_all()
    await room.ledger.put_policy(PutPolicy("channel", "web", '{"locations":["NONE"]}'))
    await published(room)
    await wait_until_async(lambda: changed(reader, {"A": 0, "B": 0}), 15)
    anybody = Reader(shop, "default")
    await anybody.read_all()
    assert anybody.ats == {"A": 9, "B": 5}


async def changed(reader: Reader, wanted: dict[str, int]) -> bool:
    await reader.read_all()
    return reader.ats == wanted


async def test_after_a_rebuild_nothing_that_was_told_is_taken_for_granted(room: Room, shop: Api) -> None:
    """The ledger forgets a sale that was told of, as after a loss; the new epoch's first entry is told."""
    await room.apply(level(9, sku="A"))
    await published(room)
    before = await snapshot(room)
    await room.apply(reserve("a", 4, "A"))
    await published(room)
    reader = Reader(shop)
    await reader.read_all()
    assert reader.ats == {"A": 5}
    await before()
    opened = Messages(room.settings.root, "t", 0).of_entry(LedgerOpened(1 << 21, 0, "", "", 2, 1, 1))
    assert opened is not None
    await room.nats.jetstream().publish(opened.subject, opened.data, headers=opened.headers)
    await wait_until_async(lambda: changed(reader, {"A": 9}), 15, "the reader learns what was lost")


async def snapshot(room: Room) -> Callable[[], Awaitable[None]]:
    """Remember the ledger as it is; the function makes it so again, in a later epoch."""
    reader = room.ledger._readers[0]
    names = await reader.command("KEYS", room.ledger._readers[0].key("*").replace("{", "\\{").replace("}", "\\}"))
    kept = {name: await reader.command("DUMP", name) for name in names}

    async def restore() -> None:
        epoch, seq = await reader.command("HMGET", reader.key("meta"), "epoch", "seq")
        for name, value in kept.items():
            await reader.command("RESTORE", name, 0, value, "REPLACE")
        await reader.command("HSET", reader.key("meta"), "epoch", int(epoch) + 1, "seq", int(seq) + (1 << 20))

    return restore


async def test_cursors_that_lead_nowhere(room: Room, shop: Api, nc: Nats) -> None:
    await room.apply(level(9, sku="A"))
    await published(room)
    reader = Reader(shop)
    await reader.read_all()
    for wrong in ("x", "1-1", "1-1-1-1"):
        answer = await shop.send("GET", PATH, params={"after": wrong})
        assert assert_problem(answer, 400, "invalid-request")["errors"][0]["parameter"] == "after"
    stream, seq = parse(reader.cursor).stream, parse(reader.cursor).seq  # pyright: ignore[reportOptionalMemberAccess]
    for gone in (Cursor(stream + 1, seq), Cursor(stream, seq + 1_000)):
        assert_problem(await shop.send("GET", PATH, params={"after": str(gone)}), 410, "cursor-expired")
    headers = {"last-event-id": str(Cursor(stream + 1, 1))}
    answer = await shop.send("GET", "/v1/availability/stream", headers=headers)
    assert_problem(answer, 410, "cursor-expired")
    await nc.jetstream().purge_stream(room.settings.stream)
    answer = await shop.send("GET", PATH, params={"after": str(Cursor(stream, 1))})
    assert_problem(answer, 410, "cursor-expired")


@pytest.mark.parametrize("query", ["limit=0", "limit=501", "wait=31", "wait=-1", "limit=x", "sku=A"])
async def test_wrong_parameters(shop: Api, query: str) -> None:
    assert_problem(await shop.send("GET", f"{PATH}?{query}"), 400, "invalid-request")


async def test_a_client_follows_the_channels_it_is_bound_to(room: Room, shop: Api) -> None:
    await room.apply(level(9, sku="A"))
    await room.ledger.put_policy(PutPolicy("channel", "amazon", '{"locations":["NONE"]}'))
    await published(room)
    scopes = ["availability:read"]
    bound, both = await shop.add_client("one", scopes, ["amazon"]), await shop.add_client("two", scopes, ["web", "app"])
    mine = (await shop.send("GET", PATH, key=bound)).json()["changes"]
    assert [(change["channel"], change["ats"]) for change in mine] == [("amazon", 0)]
    for path in (PATH, "/v1/availability/stream"):
        assert_problem(await shop.send("GET", f"{path}?channel=web", key=bound), 403, "channel-not-allowed")
        assert_problem(await shop.send("GET", path, key=both), 400, "invalid-request")
    assert (await shop.send("GET", f"{PATH}?channel=app", key=both)).status_code == 200


async def test_a_query_tells_from_where_to_follow(room: Room, shop: Api) -> None:
    await room.apply(level(9, sku="A"), level(5, sku="B"))
    await published(room)
    answer = (await shop.send("POST", "/v1/availability/query", json={"skus": ["A"]})).json()
    reader = Reader(shop)
    reader.cursor = answer["cursor"]
    await room.apply(reserve("a", 1, "A"))
    await wait_until_async(lambda: changed(reader, {"A": 8}))


async def test_without_nats_the_feed_is_away_and_the_numbers_are_not(valkey: str, namespace: str) -> None:
    async with served(valkey, namespace) as api:
        await api.stock("A", 9)
        assert_problem(await api.send("GET", PATH), 503, "stream-unavailable")
        answer = (await api.send("POST", "/v1/availability/query", json={"skus": ["A"]})).json()
        assert (answer["availability"][0]["ats"], answer["cursor"]) == (9, None)


async def test_a_missing_stream_is_told_and_found_when_it_is_made(room: Room, nc: Nats) -> None:
    async with process(room, nc) as api:
        await room.apply(level(9, sku="A"))
        assert_problem(await api.send("GET", PATH), 503, "stream-unavailable")
        await nc.jetstream().add_stream(StreamConfig(name=room.settings.stream, subjects=[f"{room.settings.root}.>"]))
        reader = Reader(api)
        await wait_until_async(lambda: is_told(reader), 15)


async def is_told(reader: Reader) -> bool:
    return (await reader.fetch()).status_code == 200


async def test_streams_end_with_the_process_and_with_the_key(room: Room, nc: Nats) -> None:
    stop = asyncio.Event()
    async with room.running(), process(room, nc, stop=stop) as api:
        await room.apply(level(9, sku="A"))
        await published(room)
        key = await api.add_client("gone", ["availability:read"])
        async with Events.of(api, key=key) as revoked, Events.of(api) as events:
            assert await revoked.next()
            assert await events.next()
            reader = Reader(api)
            await reader.read_all()
            await api.ledger.put_policy(PutPolicy("client", "gone", '{"scopes":[],"disabled":true}'))
            assert await asyncio.wait_for(revoked.next(), 10) is None
            waiting = asyncio.create_task(reader.fetch(wait=30))
            await asyncio.sleep(0.1)
            stop.set()
            assert await asyncio.wait_for(events.next(), 5) is None
            assert (await asyncio.wait_for(waiting, 5)).status_code == 200
