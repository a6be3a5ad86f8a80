"""The whole OpenAPI document against the service: valid and invalid requests, and never an answer nobody documented."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from itertools import batched
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from msgspec import json
from nats.aio.client import Client
from schemathesis import GenerationMode
from schemathesis.errors import SchemathesisError

from atp.api import ApiSettings, Changes
from atp.deadletters import Desk, LetterSettings
from atp.domain.commands import PutPolicy
from atp.domain.keys import SCOPES
from atp.ingest import Posting, Settings, ensure_streams
from atp.ingest.raw import Doorway, Formats, Webhooks
from atp.journal import Journal
from atp.outbox import Settings as OutboxSettings
from atp.outbox.stream import ensure_stream
from tests.rooms.api.conftest import Api, served
from tests.rooms.api.test_exception_routes import journal
from tests.rooms.ingest.conftest import nc
from tests.rooms.ingest.conftest import settings as nats_settings

__all__ = ["journal", "nats_settings", "nc"]

pytestmark = pytest.mark.anyio

#: In flight at once: more would be refused, as callers of the route of that name are.
TOGETHER = 16

#: What any route may answer that no operation lists: the framework's word on a path that is none, and on methods.
ANYWHERE = {400, 404, 405, 408, 413, 414}

#: Requests of each operation in `make test`.
FEW = 3

HOSTILE = (
    "' OR 1=1 --", "{{7*7}}", "${jndi:ldap://127.0.0.1/x}", "../../../../etc/passwd", "%2e%2e%2f", "<script>x</script>",
    "\x00", "\r\nset-cookie: a=b", "*", ">", "stock.v1.>", "$JS.API.>", "{atp:0}:meta", "}{", "a" * 65, "a" * 10_000,
    "\ud7ff\ufffe", "e\u0301", "\u202e", "٣", "-0", "1e400", "NaN", "9" * 400, "null", "[]", "{}", "true",
)  # fmt: skip


@pytest.fixture
async def whole(
    valkey: str, namespace: str, journal: Journal, nc: Client, nats_settings: Settings
) -> AsyncIterator[Api]:
    """A service with everything behind it, so that requests come further than to a 503."""
    await ensure_streams(nc.jetstream(), nats_settings)
    desk = Desk(nc, LetterSettings(nats_settings.dead_letters, nats_settings.stream, root=nats_settings.root))
    doorway = Doorway(nc, Formats(None), Webhooks({}, {}), nats_settings)
    told = OutboxSettings(stream=f"ATP-{namespace}", root=f"{namespace}-told.v1")
    await ensure_stream(nc.jetstream(), told)
    async with served(
        valkey, namespace, ApiSettings(lame_duck_s=0, ticket_secrets=(b"s" * 32,)), journal=journal, desk=desk,
        door=Posting(nc, nats_settings), raw=doorway, changes=Changes(nc, told.stream, told.root),
    ) as api:  # fmt: skip
        api.key = await api.add_client("all", list(SCOPES))
        await api.stock("0", 1_000_000)
        now = time.time_ns() // 1_000_000
        campaign = {"opens": now, "closes": now + 3_600_000, "skus": {"0": {"quantity": 1_000}}, "waiting_room": True}
        await api.ledger.put_policy(PutPolicy("campaign", "0", json.encode(campaign).decode(), skus=["0"]))
        yield api


def answering(document: dict[str, Any]) -> dict[str, Any]:
    """Without what streams for ever, and long polls that are over soon."""
    paths = {path: methods for path, methods in document["paths"].items() if not path.endswith("/stream")}
    for parameter in paths["/v1/availability/changes"]["get"]["parameters"]:
        if parameter["name"] == "wait":
            parameter["schema"]["maximum"] = 1
    return document | {"paths": paths}


def cases(operation: Any, mode: GenerationMode, count: int, start: int) -> list[Any]:
    """Requests that schemathesis makes of one operation; none where nothing can be wrong with it."""
    found: list[Any] = []

    @seed(start)
    @settings(
        max_examples=count, database=None, deadline=None, phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
    )  # fmt: skip
    @given(case=operation.as_strategy(generation_mode=mode))
    def collect(case: Any) -> None:
        found.append(case)

    with contextlib.suppress(Unsatisfiable, SchemathesisError):  # there is nothing to draw
        collect()
    return found


def prepared(case: Any, base_url: str) -> requests.PreparedRequest | None:
    """The request as it goes over the wire; None if no client would send it."""
    try:
        return requests.Request(**case.as_transport_kwargs(base_url=base_url)).prepare()
    except (requests.exceptions.RequestException, ValueError, UnicodeError):
        return None


def wrong(operation: Any, count: int) -> list[GenerationMode]:
    """Few requests are spent on bodies alone: hostile parameters have a test of their own."""
    return [GenerationMode.NEGATIVE] if count > FEW or "requestBody" in operation.definition.raw else []


async def play(api: Api, count: int, start: int) -> Counter[int]:
    """``count`` requests of each operation and mode; the answers by status."""
    document = (await api.http.get("/schema/openapi.json")).json()
    statuses: Counter[int] = Counter()
    for found in schemathesis.openapi.from_dict(answering(document)).get_all_operations():
        operation: Any = found.ok()  # pyright: ignore[reportAttributeAccessIssue] - an error would be ours
        known = {int(status) for status in operation.definition.raw["responses"]} | ANYWHERE
        for mode in (GenerationMode.POSITIVE, *wrong(operation, count)):
            made = [prepared(case, str(api.http.base_url)) for case in cases(operation, mode, count, start)]
            for some in batched(filter(None, made), TOGETHER):
                for request, status in await asyncio.gather(*(answer(api, request) for request in some)):
                    assert status in known, f"{request.method} {request.url} {request.body!r}: {status}"
                    statuses[status] += 1
    return statuses


async def answer(api: Api, request: requests.PreparedRequest) -> tuple[requests.PreparedRequest, int]:
    """Send it as a caller who may do everything, and look at what every answer must be."""
    headers: dict[Any, Any] = {
        name: value for name, value in request.headers.items() if name.lower() != "authorization"
    }
    headers["authorization"] = f"Bearer {api.key}"
    body: Any = request.body
    content = body.encode() if isinstance(body, str) else body
    try:
        got = await api.http.request(request.method or "", request.url or "", headers=headers, content=content)
    except (httpx.InvalidURL, httpx.LocalProtocolError, UnicodeError):
        return request, 400
    look_at(got)
    return request, got.status_code


def look_at(got: httpx.Response) -> None:
    """No failure of ours, and a problem for every refusal."""
    assert got.status_code < 500 or got.status_code == 503, (got.request.method, got.request.url, got.text)
    if got.status_code >= 400 and got.content and "/health/" not in str(got.request.url):
        assert got.headers["content-type"] == "application/problem+json", got.text
        assert got.json()["status"] == got.status_code
    for inside in ("Traceback", 'File "', "msgspec.", "asyncpg."):
        assert inside not in got.text


async def test_a_few_of_everything(whole: Api) -> None:
    statuses = await play(whole, FEW, 1)
    assert sum(statuses.values()) > 200
    assert statuses[503] < sum(statuses.values()) / 10  # most came as far as they should
    assert statuses[200] > 10
    assert (await whole.http.get("/health/ready")).status_code == 200


@pytest.mark.soak
async def test_twenty_thousand(whole: Api) -> None:
    statuses: Counter[int] = Counter()
    start = 100
    while sum(statuses.values()) < 20_000:
        statuses += await play(whole, 25, start)
        start += 1
        print(dict(statuses), flush=True)
    assert (await whole.http.get("/health/ready")).status_code == 200


def places(document: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    for path, methods in answering(document)["paths"].items():
        for method, operation in methods.items():
            for parameter in operation.get("parameters", ()):
                yield method.upper(), path, f"{parameter['in']} {parameter['name']}"


async def test_hostile_texts_in_every_parameter(whole: Api) -> None:
    document = (await whole.http.get("/schema/openapi.json")).json()
    sent = 0
    for turn, (method, path, parameter) in enumerate(places(document)):
        place, name = parameter.split(" ", 1)
        calls = []
        for text in HOSTILE[turn % 4 :: 4]:
            options: dict[str, Any] = {"headers": {}}
            url = path
            if place == "path":
                url = path.replace(f"{{{name}}}", httpx.QueryParams({"a": text}).__str__()[2:].replace("+", "%20"))
            elif place == "query":
                options["params"] = {name: text}
            elif text.isprintable() and text.isascii():
                options["headers"] = {name: text}
            for other in ("id", "sku", "channel", "prefix", "mapping", "source"):
                url = url.replace(f"{{{other}}}", "0")
            calls.append(whole.send(method, url, **options))
        for some in batched(calls, TOGETHER):
            for got in await asyncio.gather(*some):
                look_at(got)
                sent += 1
    assert sent > 300
    assert (await whole.http.get("/health/ready")).status_code == 200
