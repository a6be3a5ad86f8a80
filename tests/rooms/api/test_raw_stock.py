"""Vendors' webhooks: proven or keyed, kept, translated, applied; what cannot be read waits for a better mapping."""

import asyncio
import hmac
import shutil
from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from msgspec import Struct, json
from nats.aio.client import Client

from atp.api import ApiSettings
from atp.deadletters import Chosen, Desk, LetterSettings
from atp.domain.causes import cause_of
from atp.domain.commands import PutPolicy
from atp.domain.entries import LevelSet
from atp.ingest import Consumer, Settings, ensure_streams
from atp.ingest.raw import Doorway, Formats, Translator, Webhooks
from tests.rooms.ingest.conftest import nc, settings
from tests.support import wait_until_async

from .conftest import Api, assert_problem, served

__all__ = ["nc", "settings"]

pytestmark = pytest.mark.anyio

SECRET = b"a secret"

SHOP = """
extends = "shopify"
[lookup.sku]
ids = { "42" = "MUG" }
[lookup.location]
ids = { "7" = "DC2" }
"""

#: Numbers as they are when they arrive: their version is the time they came.
PLAIN = """
[[events]]
kind = "level"
sku = { from = "{sku}" }
location = { from = "{at}" }
quantity = { path = "n" }
[version]
given = true
"""


class Vendors(Struct):
    """An API with two mappings of its own: a signed one and one for callers with a key."""

    api: Api
    nc: Client
    settings: Settings
    folder: Path
    desk: Desk

    async def shopify(
        self, level: int, at: str = "2026-11-20T10:00:00.000001Z", source: str = "web-shop", **change: str
    ) -> httpx.Response:
        body = json.encode({"inventory_item_id": change.pop("item", 42), "location_id": 7, "available": level})
        digest = hmac.digest(SECRET, body, "sha256")
        headers = {
            "x-shopify-topic": "inventory_levels/update",
            "x-shopify-webhook-id": f"w-{at}",
            "x-shopify-triggered-at": at,
            "x-shopify-hmac-sha256": change.pop("signature", b64encode(digest).decode()),
            "cookie": "not for you",
            "atp-received": "5",
        }  # fmt: skip
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        return await self.api.http.post(f"/v1/stock/raw/web-shop/{source}", content=body, headers=raw)

    async def plain(self, sku: str, n: int, at: str = "DC1", key: str | None = None, **options) -> httpx.Response:
        content = json.encode({"sku": sku, "at": at, "n": n})
        return await self.api.send("POST", "/v1/stock/raw/plain/till", content=content, key=key, **options)

    async def work(self) -> tuple[Translator, Consumer]:
        """Translate and apply what is there, as the ingest process does."""
        js, s = self.nc.jetstream(), self.settings
        translator = Translator(self.nc, self.api.ledger, Formats(self.folder), s)
        consumer = Consumer(self.nc, self.api.ledger, s)
        stop = asyncio.Event()
        running = [asyncio.create_task(one.run(stop)) for one in (translator, consumer)]

        async def done() -> bool:
            for stream, key in ((s.raw, s.raw_key), (s.stream, s.key)):
                if await self.api.ledger.cursor(key) < (await js.stream_info(stream)).state.last_seq:
                    return False
            return True

        await wait_until_async(done, 15, f"all is settled: {translator.counters} {consumer.counters}")
        stop.set()
        await asyncio.gather(*running)
        return translator, consumer

    async def stock(self, sku: str) -> int | None:
        (found,) = await self.api.ledger.availability([sku])
        return found.locations[0].balance.number if found.locations else None


@pytest.fixture
async def vendors(
    valkey: str, namespace: str, nc: Client, settings: Settings, tmp_path: Path
) -> AsyncIterator[Vendors]:
    await ensure_streams(nc.jetstream(), settings)
    (tmp_path / "web-shop.toml").write_text(SHOP)
    (tmp_path / "plain.toml").write_text(PLAIN)
    desk = Desk(nc, LetterSettings(settings.dead_letters, settings.stream, settings.raw, settings.root))
    webhooks = Webhooks({"ATP_WEBHOOK_SECRET_SHOPIFY": [b"the old one", SECRET]})
    raw = Doorway(nc, Formats(tmp_path), webhooks, settings)
    async with served(valkey, namespace, ApiSettings(lame_duck_s=0), desk=desk, raw=raw) as api:
        for at in ("DC1", "DC2"):
            await api.ledger.put_policy(PutPolicy("location", at, '{"kind":"warehouse"}'))
        await api.ledger.put_policy(PutPolicy("source", "web-shop", '{"kind":"store","measure":"available"}'))
        yield Vendors(api, nc, settings, tmp_path, desk)


async def test_a_signed_webhook_becomes_a_level_once(vendors: Vendors) -> None:
    answer = await vendors.shopify(9)
    assert (answer.status_code, answer.json()) == (202, {"status": "accepted", "stream_sequence": 1})
    kept = await vendors.nc.jetstream().get_msg(vendors.settings.raw, 1)
    assert kept.headers is not None
    names = {name.lower() for name in kept.headers}
    assert "x-shopify-webhook-id" in names
    assert not names & {"cookie", "authorization", "host", "atp-received"}
    await vendors.shopify(9)
    await vendors.shopify(4, "2026-11-20T10:00:02Z")
    await vendors.shopify(7, "2026-11-20T10:00:01Z")
    translator, consumer = await vendors.work()
    assert await vendors.stock("MUG") == 4
    assert translator.counters.messages == 4
    assert consumer.counters.events["applied"] == 2
    levels = [e for e in await vendors.api.ledger.read_entries(0, 0, 100) if isinstance(e, LevelSet)]
    assert all(cause_of(entry.cause).request and cause_of(entry.cause).event for entry in levels)
    assert consumer.counters.events["stale"] == 1


async def test_signatures_that_prove_nothing(vendors: Vendors) -> None:
    good = b64encode(hmac.digest(SECRET, b"other", "sha256")).decode()
    for signature in ("", "x", good, "A" * 44, "é"):
        assert_problem(await vendors.shopify(9, signature=signature), 401, "signature-invalid")
    problem = assert_problem(await vendors.shopify(9, source="wms"), 403, "forbidden")
    assert "ATP_WEBHOOK_SOURCES_WEB_SHOP" in problem["detail"]
    assert (await vendors.nc.jetstream().stream_info(vendors.settings.raw)).state.messages == 0


async def test_who_has_no_signature_needs_a_key(vendors: Vendors) -> None:
    bound = await vendors.api.add_client("till", ["stock:write"], sources=["other"])
    reader = await vendors.api.add_client("reader", ["availability:read"])
    assert_problem(await vendors.plain("A", 1, key="x"), 401, "unauthenticated")
    assert_problem(await vendors.plain("A", 1, key=reader), 403, "forbidden")
    assert_problem(await vendors.plain("A", 1, key=bound), 403, "forbidden")
    assert (await vendors.plain("A", 1)).status_code == 202
    await vendors.work()
    assert await vendors.stock("A") == 1


async def test_wrong_calls(vendors: Vendors) -> None:
    compressed = await vendors.plain("S1", 1, headers={"content-encoding": "gzip"})
    assert_problem(compressed, 415, "unsupported-media-type")
    send = vendors.api.send
    assert_problem(await send("POST", "/v1/stock/raw/nothing/x", content=b"{}"), 404, "not-found")
    assert_problem(await send("POST", "/v1/stock/raw/..%2Fplain.toml/x", content=b"{}"), 404, "not-found")
    assert_problem(await send("POST", "/v1/stock/raw/plain/a.b", content=b"{}"), 400, "invalid-request")
    assert_problem(await send("POST", "/v1/stock/raw/plain/%00", content=b"{}"), 400, "invalid-request")
    assert_problem(await send("POST", "/v1/stock/raw/plain/x", content=b""), 400, "invalid-request")
    assert_problem(await send("POST", "/v1/stock/raw/plain/x", content=b" " * 1_048_577), 413, "too-large")
    assert_problem(await send("POST", "/v1/stock/raw/plain/x", content=b" " * 1_048_576), 413, "too-large")
    huge = {f"x-{n}": "y" * 1_000 for n in range(20)}
    assert_problem(await send("POST", "/v1/stock/raw/plain/x", content=b"{}", headers=huge), 413, "too-large")
    assert (await vendors.nc.jetstream().stream_info(vendors.settings.raw)).state.messages == 0


async def test_what_cannot_be_read_waits_for_a_better_mapping(vendors: Vendors) -> None:
    """A missing id, and garbage: dead letters of their own; the replay keeps the version of the arrival."""
    await vendors.plain("B", 3, at="DC1")
    for content in (b"{", b"\xff", b"[" * 100_000, b'{"sku":"B"}'):
        await vendors.api.send("POST", "/v1/stock/raw/plain/till", content=content)
    await vendors.shopify(9, item="43")
    translator, _ = await vendors.work()
    assert translator.counters.dead_letters.total() == 5
    letters = (await vendors.desk.page(Chosen(), 0, 10)).letters
    reasons = [letter.reason for letter in letters]
    assert reasons[0] == reasons[1] == "invalid-json"
    assert reasons[-1] == "unknown-id"
    assert (letters[-1].source, letters[-1].stream) == ("web-shop", vendors.settings.raw)
    assert letters[-1].subject == f"{vendors.settings.root}.raw.web-shop.web-shop"
    assert await vendors.stock("B") == 3

    (vendors.folder / "web-shop.toml").write_text(SHOP.replace('"42"', '"43" = "CUP", "42"'))
    await vendors.desk.replay(letters[-1].id)
    await vendors.work()
    assert await vendors.stock("CUP") == 9

    # A level by its arrival: sent again after a newer one came, it is still the old one.
    (vendors.folder / "plain.toml").write_text("format = 'csv'\n" + PLAIN)
    await vendors.plain("C", 5)
    await vendors.work()
    (vendors.folder / "plain.toml").write_text(PLAIN)
    await vendors.plain("C", 8)
    await vendors.work()
    assert await vendors.stock("C") == 8
    old = (await vendors.desk.page(Chosen(), 0, 10)).letters[-1]
    await vendors.desk.replay(old.id)
    _, consumer = await vendors.work()
    assert consumer.counters.events == {"stale": 1}
    assert await vendors.stock("C") == 8


async def test_a_translator_that_dies_does_it_again_without_effect(vendors: Vendors) -> None:
    """Killed between publishing and the cursor, again and again."""
    for n in range(40):
        await vendors.plain("D", n)
    ledger = vendors.api.ledger
    for _ in range(5):
        translator = Translator(vendors.nc, ledger, Formats(vendors.folder), vendors.settings)
        stop = asyncio.Event()
        task = asyncio.create_task(translator.run(stop))
        await wait_until_async(lambda t=translator: t.counters.active or t.counters.restarts, 10, "it works")
        task.cancel()
        await asyncio.wait([task])
    await vendors.work()
    assert await vendors.stock("D") == 39
    assert (await vendors.desk.page(Chosen(), 0, 10)).letters == []
    assert await ledger.cursor(vendors.settings.raw_key) == 40


async def test_a_subject_that_no_mapping_reads(vendors: Vendors) -> None:
    js, root = vendors.nc.jetstream(), vendors.settings.root
    for subject in ("nothing.till", "plain.till.7", "plain"):
        await js.publish(f"{root}.raw.{subject}", b"{}")
    await vendors.work()
    letters = (await vendors.desk.page(Chosen(), 0, 10)).letters
    assert [letter.reason for letter in letters] == ["unknown-mapping", "invalid-subject", "invalid-subject"]
    shutil.rmtree(vendors.folder)


async def test_a_translator_whose_consumer_is_gone_goes_on(vendors: Vendors) -> None:
    js, s, stop = vendors.nc.jetstream(), vendors.settings, asyncio.Event()
    translator = Translator(vendors.nc, vendors.api.ledger, Formats(vendors.folder), s)
    running = asyncio.create_task(translator.run(stop))
    try:
        await wait_until_async(lambda: translator.counters.active, 10, "it reads")
        await js.delete_consumer(s.raw, s.translator)
        assert (await vendors.plain("CUP", 4)).status_code == 202

        async def translated() -> bool:
            assert not running.done(), running
            return await vendors.api.ledger.cursor(s.raw_key) == 1

        await wait_until_async(translated, 20, "the message is translated")
    finally:
        stop.set()
        await running
