"""A position with an event in the dead letters says so in every answer, until somebody has looked (R14)."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from msgspec import Struct
from nats.aio.client import Client

from atp.deadletters import Chosen, Desk, LetterSettings, LettersUnavailable, Suspects
from atp.domain.commands import PutPolicy
from atp.ingest import Consumer, Event, Feed, Settings, ensure_streams, feed
from atp.ingest.positions import header_of, positions_in
from tests.rooms.ingest.conftest import nc, settings
from tests.support import wait_until_async

from .conftest import Api, served

__all__ = ["nc", "settings"]

pytestmark = pytest.mark.anyio

SKU = "Größe 44/😀"
PLACE = '{"kind":"warehouse","sources":[{"source":"wms","role":"authority"}]}'


class Shop(Struct):
    api: Api
    nc: Client
    settings: Settings
    suspects: Suspects
    desk: Desk

    async def feed(self, *events: Event) -> None:
        """Publish, let the reader settle it, and look at the dead letters."""
        last = await Feed(self.nc, self.settings).publish(events)
        stop, consumer = asyncio.Event(), Consumer(self.nc, self.api.ledger, self.settings)
        reading = asyncio.create_task(consumer.run(stop))

        async def settled() -> bool:
            return await self.api.ledger.cursor(self.settings.key) >= last

        await wait_until_async(settled, 15, f"cursor {last}")
        stop.set()
        await reading
        await self.suspects.run_once()

    async def marked(self, *skus: str) -> dict[str, list[str]]:
        """The suspect locations of each sku."""
        answer = await self.api.send("POST", "/v1/availability/query", json={"skus": skus})
        return {
            one["sku"]: [at["location"] for at in one["locations"] if at.get("suspect")]
            for one in answer.json()["availability"]
        }


@pytest.fixture
async def shop(valkey: str, namespace: str, nc: Client, settings: Settings) -> AsyncIterator[Shop]:
    await ensure_streams(nc.jetstream(), settings)
    letters = LetterSettings(settings.dead_letters, settings.stream, settings.raw, settings.root)
    suspects, desk = Suspects(nc, letters), Desk(nc, letters)
    async with served(valkey, namespace, suspects=suspects) as api:
        for at in ("DC1", "DC2"):
            await api.ledger.put_policy(PutPolicy("location", at, PLACE))
        yield Shop(api, nc, settings, suspects, desk)


async def test_refused_and_unreadable_events_mark_their_positions(shop: Shop) -> None:
    good = [(sku, at, 5) for sku in ("A", "B", SKU) for at in ("DC1", "DC2")]
    await shop.feed(feed.level("wms", "e1", good, sequence=1))
    assert await shop.marked("A", "B", SKU) == {"A": [], "B": [], SKU: []}
    etag = (await shop.api.send("GET", "/v1/availability/A")).headers["etag"]
    await shop.feed(
        feed.level("wms", "e2", [("A", "DC1", 1), ("A", "DC2", 10**9 + 1)], sequence=2),  # nothing of it is used
        feed.level("wms", "e3", [(SKU, "DC2", 1)], time="2026-11-20T10:00:00Z"),  # the source orders by sequence
        Event("wms", "e4", feed.LEVEL, b"\xff", 3),
    )
    assert await shop.marked("A", "B", SKU) == {"A": ["DC1", "DC2"], "B": [], SKU: ["DC2"]}
    answer = await shop.api.send("GET", "/v1/availability/A", headers={"if-none-match": etag})
    assert answer.status_code == 200
    explained = (await shop.api.send("GET", "/v1/availability/A?explain=true")).json()
    assert [at["suspect"] for at in explained["locations"]] == [True, True]

    await shop.desk.discard(1)
    await shop.suspects.run_once()
    assert await shop.marked("A", "B", SKU) == {"A": [], "B": [], SKU: ["DC2"]}
    await shop.feed(feed.level("wms", "e5", [("B", "DC1", -(10**9) - 1)], sequence=4))
    assert await shop.marked("A", "B", SKU) == {"A": [], "B": ["DC1"], SKU: ["DC2"]}
    await shop.desk.discard_all(Chosen())
    await shop.suspects.run_once()
    assert await shop.marked("A", "B", SKU) == {"A": [], "B": [], SKU: []}


async def test_without_nats_the_last_view_stays(shop: Shop) -> None:
    await shop.feed(feed.level("wms", "e1", [("A", "DC1", 5)], sequence=1))
    await shop.feed(feed.level("wms", "e2", [("A", "DC1", 10**10)], sequence=2))
    await shop.nc.close()
    with pytest.raises(LettersUnavailable):
        await shop.suspects.run_once()
    assert await shop.marked("A") == {"A": ["DC1"]}


def test_positions_are_found_in_whatever_can_be_read() -> None:
    line = b'{"sku":"A","location":"DC1","quantity":"x"}'
    assert positions_in(b'{"lines":[%b,%b,{"sku":"B"},5]}' % (line, line)) == [("A", "DC1")]
    assert positions_in(b'{"id":"x","data":{"lines":[%b]}}' % line) == [("A", "DC1")]
    for text in (b"", b"{", b"\xff", b"[]", b'{"lines":{}}', b'{"data":5}', b"[" * 100_000, b'{"lines":[[]]}'):
        assert positions_in(text) == []
    assert positions_in(b'{"lines":[{"sku":"A\\u0000","location":"DC1"}]}') == []


def test_a_header_takes_any_name_and_not_too_many() -> None:
    assert header_of([]) == ""
    text = header_of([(SKU, "DC1")])
    assert text.isascii()
    assert text.isprintable()
    assert len(header_of([("x" * 64, f"{n}") for n in range(10_000)])) < 9_000
