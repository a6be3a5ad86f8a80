"""What keeps clients apart from each other, and callers from our inside (research/reliability.md §5)."""

import asyncio
from random import Random

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nats.aio.client import Client

from atp.domain.identifiers import fault
from atp.domain.ids import digest53, reservation_id
from atp.domain.sellers import item_channel
from atp.ingest import Posting, Settings, ensure_streams
from atp.journal import Journal
from atp.ledger import keys
from tests.rooms.api.conftest import Api, assert_problem, served
from tests.rooms.api.test_exception_routes import journal, journal_all
from tests.rooms.ingest.conftest import nc
from tests.rooms.ingest.conftest import settings as nats_settings

__all__ = ["journal", "nats_settings", "nc"]

pytestmark = pytest.mark.anyio

SKUS = ("A", "B", "C")
SIDES = ("left", "right")
BOUND = ["availability:read", "reservations:write", "reservations:fulfil"]


class Side:
    """One client, bound to the channel of its name; every text of its own carries its mark."""

    def __init__(self, name: str, key: str) -> None:
        self.name, self.key = name, key
        self.mark = f"of-{name}-only"
        self.ids: list[str] = []
        self.tokens: list[str] = []


async def a_call(api: Api, me: Side, other: Side, draw: Random) -> httpx.Response:
    """Any request, about our things or the other's, under keys that both use."""
    headers = {"idempotency-key": f"k{draw.randrange(400)}"}
    whose = draw.choice([me, other])
    id = draw.choice(whose.ids or ["0" * 19])
    sku, channel = draw.choice(SKUS), draw.choice([me.name, me.name, other.name])
    match draw.randrange(7):
        case 0 | 1:
            named = {"order_ref": me.mark, "customer": me.mark, "metadata": {"m": me.mark}, "channel": channel}
            body = {"lines": [{"sku": sku, "quantity": draw.randint(1, 3)}], **named}
            if draw.random() < 0.2:
                body["replaces"] = id
            return await api.send("POST", "/v1/reservations", key=me.key, json=body, headers=headers)
        case 2:
            return await api.send("GET", f"/v1/reservations/{id}", key=me.key)
        case 3:
            action = draw.choice(["confirm", "release", "extend", "fulfil", "acknowledge", "transfer"])
            move = {"line_id": "1", "from": "DC1", "to": "DC2", "quantity": 1}
            body = {"extend": {"ttl_seconds": 900}, "transfer": move}.get(action, {})
            path = f"/v1/reservations/{id}/{action}"
            return await api.send("POST", path, key=me.key, json=body, headers=headers)
        case 4:
            query = draw.choice([f"order_ref={whose.mark}", f"sku={sku}", "state=held", ""])
            token = f"&page_token={draw.choice(whose.tokens)}" if whose.tokens and draw.random() < 0.3 else ""
            return await api.send("GET", f"/v1/reservations?{query}{token}&limit=3", key=me.key)
        case 5:
            return await api.send("GET", f"/v1/reservations/{id}/history", key=me.key)
        case _:
            return await api.send("GET", f"/v1/availability/{sku}?channel={channel}", key=me.key)


def take(me: Side, answer: httpx.Response) -> None:
    """Remember what it gave, for later calls of both."""
    if answer.status_code == 201:
        me.ids.append(answer.json()["id"])
    if answer.status_code == 200 and answer.json().get("next_page_token"):
        me.tokens = [*me.tokens[-10:], answer.json()["next_page_token"]]


async def stay_apart(valkey: str, namespace: str, journal: Journal, calls: int) -> None:
    async with served(valkey, namespace, journal=journal) as api:
        for sku in SKUS:
            await api.stock(sku, 1_000_000)
        sides = [Side(name, await api.add_client(name, BOUND, [name])) for name in SIDES]
        draw, refused = Random(7), 0
        for n in range(calls // 8):
            pairs = [sides if draw.random() < 0.5 else sides[::-1] for _ in range(8)]
            answers = await asyncio.gather(*(a_call(api, me, other, draw) for me, other in pairs))
            for (me, other), answer in zip(pairs, answers, strict=True):
                assert answer.status_code < 500, answer.text
                assert other.mark not in answer.text, f"{answer.request.method} {answer.request.url}: {answer.text}"
                assert other.mark not in str(answer.headers)
                refused += answer.status_code in {403, 404}
                take(me, answer)
            if n % 25 == 0 and (await api.ledger.heads())[0].seq > (await journal.claim(0, "test")).seq:
                await journal_all(api, journal)
        assert all(side.ids for side in sides)
        assert refused > calls / 10
        for me, other in (sides, sides[::-1]):
            for id in other.ids[:5]:
                assert_problem(await api.send("GET", f"/v1/reservations/{id}", key=me.key), 404, "not-found")


async def test_two_clients_never_read_each_other(valkey: str, namespace: str, journal: Journal) -> None:
    await stay_apart(valkey, namespace, journal, 600)


@pytest.mark.soak
async def test_ten_thousand_calls_of_two_clients(valkey: str, namespace: str, journal: Journal) -> None:
    await stay_apart(valkey, namespace, journal, 10_000)


PARTS = st.text(st.sampled_from(["a", "b", ":", "/", "{", "}", "é", "1", " ", "|"]), max_size=6)


@given(left=st.tuples(PARTS, PARTS), right=st.tuples(PARTS, PARTS))
def test_names_made_of_two_parts_tell_them_apart(left: tuple[str, str], right: tuple[str, str]) -> None:
    """Moving a separator from one part to the other makes another name."""
    for join in (lambda a, b: digest53(a, b), lambda a, b: reservation_id(a, b, "A"), item_channel):
        assert (join(*left) == join(*right)) == (left == right)


def test_what_joins_names_is_in_no_name() -> None:
    for text in ("a\x00b", "a\x1fb", "a\nb", "", "a" * 10_000, "e\u0301"):
        assert fault(text), repr(text)
    for text in ("a:b", "{x}", "}", "*", ">", "a/b", "snow☃man"):
        assert fault(text) is None


def test_text_from_outside_is_in_no_hash_tag() -> None:
    """A key's tag is namespace and partition, and what a caller names stands behind it."""
    for key in keys.TABLE:
        assert (
            keys.prefix("shop", 3) + key.pattern.replace("*", "{x}:*")
            == f"{{shop:3}}:{key.pattern.replace('*', '{x}:*')}"
        )


@pytest.mark.parametrize("source", ["*", ">", "a.b", "a.*", "", " ", "a b", "\n", "a\r\nPUB x 1\r\n", "\x00"])
async def test_wildcards_never_reach_a_subject(
    valkey: str, namespace: str, nc: Client, nats_settings: Settings, source: str
) -> None:
    js = nc.jetstream()
    await ensure_streams(js, nats_settings)
    data = {"lines": [{"sku": "A", "location": "DC1", "quantity": 1}]}
    event = {
        "specversion": "1.0",
        "id": "1",
        "source": source,
        "type": "atp.stock.level.v1",
        "sequence": "1",
        "data": data,
    }
    async with served(valkey, namespace, door=Posting(nc, nats_settings)) as api:
        answer = await api.send("POST", "/v1/stock/events", json=[event])
        assert answer.json()["results"][0]["status"] == "rejected"
        assert (await js.stream_info(nats_settings.stream)).state.messages == 0


async def test_no_other_site_may_call_from_a_browser(api: Api) -> None:
    asked = {"origin": "https://evil.example", "access-control-request-method": "POST"}
    for method, path in (("OPTIONS", "/v1/reservations"), ("GET", "/health/live"), ("GET", "/v1/locations")):
        answer = await api.http.request(method, path, headers=asked)
        assert not [name for name in answer.headers if name.startswith("access-control-")]


async def test_what_a_proxy_is_said_to_have_seen_is_not_believed(api: Api) -> None:
    claims = {
        "x-forwarded-for": "10.9.8.7", "x-forwarded-host": "evil.example", "x-forwarded-proto": "gopher",
        "forwarded": "for=10.9.8.7;host=evil.example", "x-real-ip": "10.9.8.7", "x-original-url": "/v1/clients",
        "x-rewrite-url": "/v1/clients", "x-http-method-override": "DELETE", "host": "evil.example",
    }  # fmt: skip
    for path in ("/health/live", "/v1/locations", "/docs", "/schema/openapi.json", "/v1/nothing"):
        plain = await api.send("GET", path, key=api.admin)
        claimed = await api.send("GET", path, key=api.admin, headers=claims)
        assert claimed.status_code == plain.status_code
        assert "evil.example" not in claimed.text + str(claimed.headers)
        assert "location" not in claimed.headers


async def test_who_never_reads_holds_up_nobody(api: Api) -> None:
    """Answers of a megabyte that nobody takes: others are served, and the process does not grow with them."""
    before = memory_kb()
    asked = b"GET /docs/rapidoc-min.js HTTP/1.1\r\nhost: x\r\n\r\n"
    writers = []
    for _ in range(30):
        _, writer = await asyncio.open_connection("127.0.0.1", api.port, limit=1024)
        writer.transport.pause_reading()  # pyright: ignore[reportAttributeAccessIssue] - of reading transports
        writer.write(asked * 20)
        writers.append(writer)
    for _ in range(20):
        assert (await api.http.get("/health/live")).status_code == 200
    assert memory_kb() - before < 200_000
    for writer in writers:
        writer.transport.abort()
    assert (await api.http.get("/health/ready")).status_code == 200


def memory_kb() -> int:
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


@pytest.mark.parametrize(
    "head",
    [
        "GET /" + "x" * 100_000 + " HTTP/1.1\r\nhost: x\r\n\r\n",
        "GET /health/live HTTP/1.1\r\nhost: x\r\n" + "a: b\r\n" * 50_000 + "\r\n",
        "GET /health/live HTTP/1.1\r\nhost: x\r\nx: " + "y" * 100_000 + "\r\n\r\n",
        "GET /health/live HTTP/9.9\r\nhost: x\r\n\r\n",
        "GET http://evil.example/health/live HTTP/1.1\r\nhost: x\r\n\r\n",
        "POST /v1/reservations HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST /v1/reservations HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nabcdef",
        "POST /v1/reservations HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        "\x00" * 5_000,
    ],
    ids=lambda head: repr(head[:30]),
)
async def test_heads_that_no_client_sends(api: Api, head: str) -> None:
    """Refused or cut off, and the process lives: a request is never two."""
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    try:
        writer.write(head.encode("latin-1"))
        writer.write_eof()
        answers = await asyncio.wait_for(reader.read(), 35)
    except OSError:
        answers = b""
    finally:
        writer.transport.abort()
    assert answers.count(b"HTTP/1.1 2") <= 1
    assert b" 5" not in answers.partition(b"\r\n")[0][8:11]
    assert (await api.http.get("/health/live")).status_code == 200


async def test_a_bot_cannot_hold_all_stock(api: Api) -> None:
    """OWASP API6: units held at once per customer, and who leaves the name out gets none; holds end."""
    await api.stock("A", 100)
    await api.send(
        "PUT", "/v1/channels/default", key=api.admin, json={"held_units_per_customer": 3, "max_hold_seconds": 60}
    )
    assert_problem(await api.reserve("A", 1), 400, "invalid-request")
    answers = [await api.reserve("A", 1, body={"customer": "bot"}) for _ in range(10)]
    assert [answer.status_code for answer in answers].count(201) == 3
    first = next(answer.json()["id"] for answer in answers if answer.status_code == 201)
    longer = await api.send("POST", f"/v1/reservations/{first}/extend", json={"ttl_seconds": 14_400})
    assert_problem(longer, 409, "limit-exceeded")
    assert await api.ats("A") == 97


async def test_no_route_takes_an_address_to_call(api: Api) -> None:
    """OWASP API7: there is no field in any body that we would fetch."""
    document = (await api.http.get("/schema/openapi.json")).json()
    fields = {
        name.lower() for schema in document["components"]["schemas"].values() for name in schema.get("properties", ())
    }
    assert not [name for name in fields if any(word in name for word in ("url", "uri", "webhook", "callback", "href"))]
