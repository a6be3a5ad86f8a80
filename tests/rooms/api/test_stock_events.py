"""Stock events over HTTP: judged at the door, stored together, and applied as those that come by NATS."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import nats as nats_client
import pytest
from msgspec import Struct, json
from nats.aio.client import Client

from atp.deadletters import Desk, LetterSettings
from atp.dev.nats import Nats
from atp.domain.causes import Cause, cause_of
from atp.domain.commands import PutPolicy
from atp.ingest import Consumer, Feed, Posting, Settings, ensure_streams, feed
from tests.rooms.ingest.conftest import nc, settings
from tests.support import wait_until_async

from .conftest import Api, assert_problem, served

__all__ = ["nc", "settings"]

pytestmark = pytest.mark.anyio

PLACE = '{"kind":"warehouse","sources":[{"source":"wms","role":"authority"}]}'
JSON = {"content-type": "application/json"}


class Shop(Struct):
    """An API with NATS, and the reader of the stream."""

    api: Api
    nc: Client
    settings: Settings

    async def post(self, events: Any, **options: Any) -> Any:
        content = events if isinstance(events, bytes) else json.encode(events)
        headers = JSON | options.pop("headers", {})
        return await self.api.send("POST", "/v1/stock/events", content=content, headers=headers, **options)

    async def stored(self) -> int:
        return (await self.nc.jetstream().stream_info(self.settings.stream)).state.messages

    async def read(self) -> Consumer:
        """Let the reader settle what is stored."""
        last = (await self.nc.jetstream().stream_info(self.settings.stream)).state.last_seq
        stop, consumer = asyncio.Event(), Consumer(self.nc, self.api.ledger, self.settings)
        reading = asyncio.create_task(consumer.run(stop))

        async def settled() -> bool:
            return await self.api.ledger.cursor(self.settings.key) >= last

        await wait_until_async(settled, 15, f"cursor {last}")
        stop.set()
        await reading
        return consumer

    async def number(self, sku: str) -> int | None:
        (stock,) = await self.api.ledger.availability([sku])
        return stock.locations[0].balance.number if stock.locations else None


@pytest.fixture
async def shop(valkey: str, namespace: str, nc: Client, settings: Settings) -> AsyncIterator[Shop]:
    js = nc.jetstream()
    await ensure_streams(js, settings)
    desk = Desk(nc, LetterSettings(settings.dead_letters, settings.stream, root=settings.root))
    async with served(valkey, namespace, desk=desk, door=Posting(nc, settings)) as api:
        await api.ledger.put_policy(PutPolicy("location", "DC1", PLACE))
        yield Shop(api, nc, settings)


def event(n: int, sku: str = "A", quantity: Any = 1, **rest: Any) -> dict[str, Any]:
    lines = [{"sku": sku, "location": "DC1", "quantity": quantity}]
    return {
        "specversion": "1.0", "id": f"e{n}", "source": "wms", "type": feed.LEVEL, "sequence": str(n),
        "data": {"lines": lines},
    } | rest  # fmt: skip


async def test_events_are_stored_in_order_and_applied(shop: Shop) -> None:
    events = [event(n, quantity=n) for n in range(1, 1_001)]
    answer = await shop.post(events)
    assert answer.status_code == 202
    body = answer.json()
    assert (body["accepted"], body["rejected"]) == (1_000, 0)
    assert body["results"][7] == {"index": 7, "id": "e8", "status": "accepted"}
    assert await shop.stored() == 1_000
    consumer = await shop.read()
    assert await shop.number("A") == 1_000
    assert consumer.counters.events == {"applied": 1_000}
    message = await shop.nc.jetstream().get_msg(shop.settings.stream, 3)
    assert message.subject == f"{shop.settings.root}.v1.wms"
    assert json.decode(message.data or b"") == events[2]


async def test_an_event_counts_once_whichever_way_it_comes(shop: Shop) -> None:
    """By NATS, by HTTP, again by HTTP under another key, and together with new ones."""
    lines = [("A", "DC1", 5)]
    await Feed(shop.nc, shop.settings).publish([feed.delta("wms", "d1", lines, sequence=1)])
    said = {"lines": [{"sku": "A", "location": "DC1", "quantity": 5}]}
    deltas = [event(n, type=feed.DELTA, id=f"d{n}", data=said) for n in (1, 2, 3)]
    for part in (deltas[:1], deltas[:2], deltas[:2], deltas, [deltas[2], deltas[2]]):
        assert (await shop.post(part)).json()["accepted"] == len(part)
    assert await shop.stored() == 3
    await shop.read()
    assert await shop.number("A") == 15


async def test_the_trace_of_the_call_goes_on(shop: Shop) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    await shop.post([event(1)], headers={"traceparent": trace, "x-request-id": "r-1"})
    await shop.read()
    entries = await shop.api.ledger.read_entries(0, 0, 100)
    key = shop.api.key.split("_")[1]
    assert Cause("shop", key, "r-1", trace, "e1") in [cause_of(entry.cause) for entry in entries]


LINE = {"sku": "A", "location": "DC1", "quantity": 1}
DEEP = '{"specversion":"1.0","id":"x","source":"wms","type":"t","data":' + "[" * 100_000 + "]" * 100_000 + "}"

#: what is posted → reason, and what the detail says
BAD: dict[str, tuple[Any, str, str]] = {
    "text": ("x", "invalid-envelope", "Expected `object`, got `str`"),
    "null": (None, "invalid-envelope", "Expected `object`, got `null`"),
    "no source": ({"id": "x"}, "invalid-envelope", "$.source is empty"),
    "source of another type": (event(1, source=5), "invalid-envelope", "$.source: Expected `str`"),
    "source with a dot": (event(1, source="a.b"), "invalid-envelope", "$.source has a dot"),
    "source with a wildcard": (event(1, source=">"), "invalid-envelope", "$.source has a dot"),
    "source that is too long": (event(1, source="x" * 65), "invalid-envelope", "$.source is longer than 64"),
    "source with a line end": (event(1, source="a\n"), "invalid-envelope", "U+000A"),
    "no id": (event(1, id=""), "invalid-envelope", "id is empty"),
    "an id that is too long": (event(1, id="x" * 257), "invalid-envelope", "id is longer than 256"),
    "another version of CloudEvents": (event(1, specversion="0.3"), "invalid-envelope", "specversion"),
    "an unknown type": (event(1, type="atp.stock.levels.v1"), "unsupported-type", "not a type of the contract"),
    "no version": (event(1, sequence=""), "version-missing", "neither a sequence nor a time"),
    "a version that is no number": (event(1, sequence="1.5"), "invalid-version", "'1.5'"),
    "a time in the future": (event(1, sequence="", time="2999-01-01T00:00:00Z"), "version-in-future", "ahead"),
    "a time without zone": (event(1, sequence="", time="2026-01-01T00:00:00"), "invalid-version", "offset"),
    "a fraction": (event(1, quantity=1.5), "invalid-data", "$.data.lines[0].quantity: Expected `int`"),
    "too many": (event(1, quantity=10**9 + 1), "invalid-data", "$.data.lines[0].quantity"),
    "no lines": (event(1, data={"lines": []}), "invalid-data", "$.data.lines"),
    "too many lines": (event(1, data={"lines": [LINE] * 1_001}), "invalid-data", "$.data.lines"),
    "a sku with NUL": (event(1, sku="A\0"), "invalid-identifier", "$.data.lines[0].sku"),
    "two lines for one position": (event(1, data={"lines": [LINE, LINE]}), "duplicate-line", "$.data.lines[1]"),
    "an unknown field": (event(1, data={"lines": [LINE], "x": 1}), "invalid-data", "`x`"),
    "other content": (event(1, datacontenttype="text/xml"), "unsupported-content-type", "text/xml"),
}


async def test_what_cannot_be_used_is_rejected_one_by_one(shop: Shop) -> None:
    """Bad ones between good ones: each says why, and the good ones are stored."""
    events = [event(1, sku="good")]
    for n, (bad, _, _) in enumerate(BAD.values(), 2):
        events += [bad, event(n, sku="good", quantity=n)]
    answer = await shop.post(events)
    assert answer.status_code == 202, answer.text
    results = answer.json()["results"]
    assert [result["index"] for result in results] == list(range(len(events)))
    for (name, (_, reason, detail)), result in zip(BAD.items(), results[1::2], strict=True):
        assert (result["status"], result["reason"]) == ("rejected", reason), (name, result)
        assert detail in result["detail"], (name, result)
    assert {result["status"] for result in results[::2]} == {"accepted"}
    await shop.read()
    assert await shop.number("good") == len(BAD) + 1
    assert await shop.number("A") is None


@pytest.mark.parametrize(
    ("text", "reason", "detail"),
    [
        (json.encode(event(1)).decode().replace('"id"', '"id":"y","id"'), "invalid-json", "'id' stands twice"),
        (json.encode(event(1)).decode().replace('"sku"', '"sku":"B","sku"'), "invalid-json", "'sku' stands twice"),
    ],
)
async def test_json_that_two_readers_may_read_in_two_ways(shop: Shop, text: str, reason: str, detail: str) -> None:
    answer = await shop.post(f"[{text}]".encode())
    assert answer.status_code == 202, answer.text
    (result,) = answer.json()["results"]
    assert (result["reason"], detail in result["detail"]) == (reason, True), result
    assert await shop.stored() == 0


async def test_an_event_that_contradicts_another_of_the_same_name(shop: Shop) -> None:
    one, other = event(1), event(1, quantity=7)
    results = (await shop.post([one, other, one])).json()["results"]
    assert [result["status"] for result in results] == ["accepted", "rejected", "accepted"]
    assert results[1]["reason"] == "duplicate-event"
    assert await shop.stored() == 1


async def test_bodies_that_are_no_list_of_events(shop: Shop) -> None:
    for body in (b"", b"{", b"{}", b"null", b"[", b"[]", b'"x"', json.encode([event(1)] * 1_001), b"[" * 200_000):
        problem = assert_problem(await shop.post(body), 400, "invalid-request")
        assert problem["errors"][0]["pointer"] == ""
    for text in (b"[\xff]", b'["\\ud800"]', f"[{DEEP}]".encode(), json.encode([event(1)])[:-1] + b",]"):
        assert_problem(await shop.post(text), 400, "invalid-request")
    assert_problem(await shop.post(b" " * 4_194_305), 413, "too-large")
    big = event(1, extra="x" * (shop.nc.max_payload - 100))
    (result,) = (await shop.post([big])).json()["results"]
    assert result["reason"] == "too-large"
    headers = {"content-type": "text/plain"}
    assert_problem(await shop.post([event(1)], headers=headers), 415, "unsupported-media-type")
    assert_problem(await shop.post([event(1)], headers={"idempotency-key": ""}), 400, "idempotency-key-missing")
    assert await shop.stored() == 0
    assert shop.nc.is_connected


async def test_who_may_send_for_whom(shop: Shop) -> None:
    """A client may be bound to sources (R34); others need the scope."""
    bound = await shop.api.add_client("adapter", ["stock:write"], sources=["wms"])
    results = (await shop.post([event(1), event(2, source="erp")], key=bound)).json()["results"]
    assert [result["status"] for result in results] == ["accepted", "rejected"]
    assert results[1]["reason"] == "source-not-allowed"
    reader = await shop.api.add_client("reader", ["availability:read"])
    assert_problem(await shop.post([event(3)], key=reader), 403, "forbidden")
    assert_problem(await shop.post([event(3)], key="x"), 401, "unauthenticated")
    assert await shop.stored() == 1


async def test_what_the_ledger_refuses_is_a_dead_letter(shop: Shop) -> None:
    """Through the whole API: posted, refused, looked at, mended, replayed."""
    data = {"lines": [{"sku": "A", "location": "DC9", "quantity": 4}]}
    assert (await shop.post([event(1, data=data)])).json()["accepted"] == 1
    await shop.read()
    admin = shop.api.admin
    listed = (await shop.api.send("GET", "/v1/dead-letters?source=wms", key=admin)).json()
    (letter,) = listed["dead_letters"]
    assert letter["reason"] == "unknown-location"
    whole = (await shop.api.send("GET", f"/v1/dead-letters/{letter['id']}", key=admin)).json()
    assert json.decode(whole["payload"])["data"] == data
    await shop.api.ledger.put_policy(PutPolicy("location", "DC9", PLACE))
    path = f"/v1/dead-letters/{letter['id']}/replay"
    assert (await shop.api.send("POST", path, key=admin)).json() == {"id": letter["id"], "status": "replayed"}
    assert_problem(await shop.api.send("POST", path, key=admin), 404, "not-found")
    await shop.read()
    assert await shop.number("A") == 4


async def test_nats_goes_away_and_comes_back(valkey: str, namespace: str, settings: Settings, tmp_path: Path) -> None:
    async def quiet(_: Exception) -> None:
        """The server is taken away on purpose."""

    with Nats(tmp_path) as server:
        nc = await nats_client.connect(
            server.url, max_reconnect_attempts=-1, reconnect_time_wait=0.05, pending_size=0, error_cb=quiet
        )
        door, desk = Posting(nc, settings), Desk(nc, LetterSettings(settings.dead_letters, settings.stream))
        async with served(valkey, namespace, desk=desk, door=door) as api:
            shop = Shop(api, nc, settings)
            problem = assert_problem(await shop.post([event(1)]), 503, "stream-unavailable")  # there is no stream yet
            assert problem["detail"].startswith("Nothing was stored")
            await ensure_streams(nc.jetstream(), settings)
            assert (await shop.post([event(1)])).status_code == 202
            server.kill()
            await wait_until_async(lambda: not nc.is_connected, 10, "the connection is gone")
            assert_problem(await shop.post([event(2)]), 503, "stream-unavailable")
            for method, path in (("GET", ""), ("GET", "/1"), ("POST", "/1/replay"), ("POST", "/1/discard")):
                answer = await api.send(method, f"/v1/dead-letters{path}", key=api.admin)
                assert_problem(answer, 503, "stream-unavailable")
            await api.stock("B", 3)
            assert (await api.reserve("B")).status_code == 201  # P3: reservations go on
            server.start()
            await wait_until_async(lambda: nc.is_connected, 10, "it is back")
            assert (await shop.post([event(1), event(2)])).status_code == 202
            assert await shop.stored() == 2
        await nc.close()


async def test_an_api_without_nats_says_so(api: Api) -> None:
    answer = await api.send("POST", "/v1/stock/events", json=[event(1)])
    assert "ATP_NATS_URL" in assert_problem(answer, 503, "stream-unavailable")["detail"]
    answer = await api.send("GET", "/v1/dead-letters", key=api.admin)
    assert "ATP_NATS_URL" in assert_problem(answer, 503, "stream-unavailable")["detail"]
