"""Prepared answers are those of the usual way, as long as everything that they hang on is as it was."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from msgspec import json
from prometheus_client import REGISTRY

from atp.api import ApiSettings
from atp.api.admission import Class
from atp.api.app import handler, litestar_app
from atp.api.door import front_door
from atp.api.following import view as view_module
from atp.api.prepared import Counter
from atp.api.problems import OVERLOADED
from atp.api.routes import ROUTES
from atp.api.service import Service
from atp.deadletters import Suspects
from atp.domain.commands import PutPolicy
from atp.domain.identifiers import ID_MAX
from atp.domain.keys import Client, Quota, new_key
from atp.ledger import Ledger
from tests.rooms.outbox.room import reserve
from tests.support import patient_ledger, wait_until_async

from .conftest import Api, in_process

pytestmark = pytest.mark.anyio

PATH = "/v1/availability/A"
READ = ["availability:read"]
ROUTE = next(route for route in ROUTES if route.name == "get_availability")

_TIME = re.compile(rb'"(as_of|request_id)":"[^"]*"|"lag_seconds":[\d.]+')

Headers = dict[str, str]
NONE: Headers = {}
Answer = tuple[int, dict[str, str], bytes]


class Marks:
    """Positions with dead letters, as ``Suspects`` tells of them."""

    def __init__(self) -> None:
        self.changes, self.skus = 0, set[str]()

    def has(self, sku: str, location: str) -> bool:
        return sku in self.skus


class Shop:
    """One process's two ways to answer, in this process, beside the ``api`` that changes things."""

    def __init__(self, api: Api, ledger: Ledger) -> None:
        self.api = api
        self.marks = Marks()
        self.service = Service(ledger, None, ApiSettings(lame_duck_s=0), suspects=cast(Suspects, self.marks))
        usual = litestar_app(self.service, [handler(self.service, route) for route in ROUTES])
        self._ways = {True: front_door(self.service, usual), False: front_door(None, usual)}
        self._counter = Counter(self.service, ROUTE)
        self.key = api.key

    async def get(
        self, path: str = PATH, more: Headers = NONE, *, hot: bool = True, stop: asyncio.Event | None = None
    ) -> Answer:
        headers = {"authorization": f"Bearer {self.key}", **more}
        return await in_process(self._ways[hot], "GET", path, headers, stop=stop)

    async def prepared(self, path: str = PATH, more: Headers = NONE) -> None:
        """Ask until the answer is ready: what is behind the ledger's last change is read anew once or twice."""

        async def ready() -> bool:
            assert (await self.get(path))[0] == 200
            return self.finds(path, more)

        await wait_until_async(ready, description=f"{path} is prepared")

    def finds(self, path: str = PATH, more: Headers = NONE) -> bool:
        raw, _, query = path.partition("?")
        scope: dict[str, Any] = {"raw_path": raw.encode(), "query_string": query.encode(), "state": {}}
        given = {"authorization": f"Bearer {self.key}", **more}
        return self._counter.find(scope, {k.encode(): v.encode() for k, v in given.items()}) is not None

    async def client(self, name: str, **fields: Any) -> None:
        """Ask as a client of one's own from now on."""
        self.key = await self.api.add_client(name, fields.pop("scopes", READ), **fields)
        await self.service.clients.run_once()

    async def ats(self) -> int:
        found = re.search(rb'"ats":(\d+)', (await self.get())[2])
        assert found
        return int(found[1])


@pytest.fixture
async def shop(api: Api) -> AsyncIterator[Shop]:
    await api.stock("A", 9)
    ledger = Ledger(patient_ledger(api.ledger.settings.url, api.ledger.settings.namespace))
    await ledger.open({})
    shop = Shop(api, ledger)
    await shop.service.clients.run_once()
    yield shop
    await shop.service.view.close()
    await ledger.close()


def plain(answer: Answer) -> Answer:
    """Without what is new in every answer."""
    status, headers, body = answer
    assert headers.pop("x-request-id")
    if "ratelimit" in headers:
        headers["ratelimit"] = re.sub("[rt]=[0-9]+", "", headers["ratelimit"])
    return status, headers, _TIME.sub(b"", body)


async def test_both_ways_answer_alike(shop: Shop) -> None:
    """Length and ETag too: it is the same copy that both show."""
    await shop.client("metered", quotas={"read": Quota(1_000)})
    tag = (await shop.get())[1]["etag"]
    for path in (PATH, f"{PATH}?channel=default", f"{PATH}?explain=false", "/v1/availability/%41", f"{PATH}new"):
        for more in (
            {}, {"if-none-match": tag}, {"if-none-match": f'"x", W/{tag}'}, {"if-none-match": '"x"'},
            {"if-none-match": "*"}, {"x-request-id": "mine"}, {"x-request-id": "not mine"},
        ):  # fmt: skip
            await shop.prepared(path, more)
            first = await shop.get(path, more)
            assert first[1]["x-request-id"] == "mine" or more.get("x-request-id") != "mine"
            assert plain(first) == plain(await shop.get(path, more)) == plain(await shop.get(path, more, hot=False))


async def test_what_has_to_be_judged_anew_goes_the_usual_way(shop: Shop) -> None:
    await shop.prepared()
    for path in (PATH + "?min_position=0:1", PATH + "?location=DC1"):
        assert [(await shop.get(path))[0] for _ in range(2)] == [200, 200]
        assert not shop.finds(path)
    await shop.prepared()
    assert not shop.finds(more={"x-request-timeout-ms": "50"})
    assert not shop.finds(more={"authorization": "Bearer nobody"})
    for more in ({"authorization": "Bearer nobody"}, {"x-request-timeout-ms": "soon"}, {"x-request-timeout-ms": "1"}):
        assert plain(await shop.get(PATH, more)) == plain(await shop.get(PATH, more, hot=False))


async def test_rights_are_looked_at_for_every_request(shop: Shop) -> None:
    await shop.prepared()
    for name, fields in {"bound": {"channels": ["web"]}, "seller": {"scopes": ["reservations:write"]}}.items():
        await shop.client(name, **fields)
        for _ in range(2):
            answer = await shop.get()
            assert answer[0] == 403
            assert plain(answer) == plain(await shop.get(hot=False))
    key, record = new_key("2026-11-21T10:00:00Z")
    for keys, status in (([record], 200), ([], 401)):
        body = Client(READ, [], keys)
        await shop.api.ledger.put_policy(PutPolicy("client", "leaver", json.encode(body).decode()))
        await shop.service.clients.run_once()
        shop.key = key
        assert [(await shop.get())[0] for _ in range(3)] == [status] * 3


async def test_a_quota_counts_prepared_answers(shop: Shop) -> None:
    await shop.prepared()
    await shop.client("poor", quotas={"read": Quota(0.001, 5)})
    answers = [await shop.get() for _ in range(6)]
    assert [status for status, *_ in answers] == [200] * 5 + [429]
    assert [a[1]["ratelimit"].partition(";t")[0] for a in answers] == [f'"read";r={n}' for n in (4, 3, 2, 1, 0, 0)]
    assert answers[0][1]["ratelimit-policy"] == '"read";q=5;w=5000'


async def test_an_answer_goes_with_its_numbers(shop: Shop) -> None:
    await shop.prepared()
    (result,) = await shop.service.ledger.apply([reserve("own", 2, "A")])
    assert result.reservation
    assert not shop.finds()
    assert await shop.ats() == 7
    await shop.prepared()
    await shop.api.reserve("A")  # by another process
    await wait_until_async(lambda: is_ats(shop, 6))
    await shop.prepared()
    await shop.api.ledger.put_policy(PutPolicy("location", "DC1", '{"kind":"warehouse","active":false}'))
    await wait_until_async(lambda: is_ats(shop, 0))


async def is_ats(shop: Shop, wanted: int) -> bool:
    return await shop.ats() == wanted


async def test_its_time_goes_on_and_marks_are_seen(shop: Shop) -> None:
    await shop.prepared()
    before, tag = await shop.get(), (await shop.get())[1]["etag"]

    async def later() -> bool:
        return (await shop.get())[2] > before[2]

    await wait_until_async(later)  # bodies differ in as_of alone
    assert plain(await shop.get()) == plain(before)
    await shop.prepared()
    shop.marks.skus, shop.marks.changes = {"A"}, 1
    status, headers, body = await shop.get(more={"if-none-match": tag})
    assert (status, headers["etag"] != tag, b'"suspect":true' in body) == (200, True, True)


async def test_stopping_and_closed_classes_are_told(shop: Shop) -> None:
    await shop.prepared()
    stop = asyncio.Event()
    assert "connection" not in (await shop.get(stop=stop))[1]
    stop.set()
    assert (await shop.get(stop=stop))[1]["connection"] == "close"
    gate = shop.service.control.gate
    taken = list(gate.taken)
    await shop.prepared()
    gate.resize(gate.limit, {Class.P2: OVERLOADED})
    assert (await shop.get())[0] == 503
    gate.resize(gate.limit)
    assert (await shop.get())[0] == 200
    assert gate.taken == taken


async def test_they_are_counted_as_any(shop: Shop) -> None:
    labels = {"method": "GET", "route": "/v1/availability/{sku}", "status": "200"}

    def counted() -> list[float]:
        return [
            REGISTRY.get_sample_value("atp_request_seconds_count", labels) or 0.0,
            REGISTRY.get_sample_value("atp_view_reads_total", {"origin": "view"}) or 0.0,
        ]

    await shop.prepared()
    before, seconds = counted(), len(shop.service.control.gate.counts.seconds)
    await shop.get()
    assert counted() == [count + 1 for count in before]
    assert len(shop.service.control.gate.counts.seconds) == seconds + 1


async def test_callers_cannot_make_it_grow(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = shop.service.view._questions
    for path in ("/v1/availability/%41", PATH, PATH + "?channel=default", PATH + "?&&"):
        await shop.prepared(path)
    assert len(kept) == 1, "one reading is found by the last bytes that asked for it"
    assert (await shop.get(PATH + "?channel=" + "%F0%9F%98%80" * ID_MAX))[0] == 200
    shop.key = "nobody"
    assert (await shop.get("/v1/availability/B"))[0] == 401
    assert len(kept) == 1
    shop.key = shop.api.key
    monkeypatch.setattr(view_module, "QUESTIONS_MAX", 3)
    for n in range(6):
        await shop.prepared(f"/v1/availability/N{n}")
    assert [*kept] == [f"/v1/availability/N{n}".encode() for n in (3, 4, 5)]
    monkeypatch.setattr(view_module, "WEIGHT_MAX", 1)
    await shop.prepared("/v1/availability/M")
    assert [*kept] == [b"/v1/availability/M"], "what the copy drops is found no more"


async def test_unchanged_says_no_length(api: Api) -> None:
    """RFC 9110 §8.6: it would have to be that of the 200. The connection goes on behind it."""
    await api.stock("A", 9)
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    tag = (await api.send("GET", PATH)).headers["etag"]
    asked = f"GET {PATH} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {api.key}\r\nif-none-match: {tag}\r\n\r\n"
    for _ in range(3):
        writer.write(asked.encode())
        head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)).lower()
        assert head.startswith(b"http/1.1 304 ")
        assert b"\r\ncontent-length" not in head
        assert b"\r\ntransfer-encoding" not in head
    writer.close()
