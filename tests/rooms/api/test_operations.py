"""What operators and tools ask: health, metrics, the document and its page."""

import re
from typing import Any

import pytest
from msgspec import convert, to_builtins

from atp.api import ApiSettings
from atp.api.examples import ANSWERS, BODIES, QUOTE
from atp.api.routes import ROUTES
from atp.dev.valkey import Valkey
from atp.domain.views import QuoteView
from tests.support import hurried, wait_until_async

from .conftest import Api, assert_problem, served

pytestmark = pytest.mark.anyio


async def test_health(api: Api) -> None:
    assert (await api.http.get("/health/live")).json() == {"status": "live"}
    ready = (await api.http.get("/health/ready")).json()
    assert ready["status"] == "ready"
    assert ready["checks"]["ledger"]["ok"] is True
    assert ready["checks"]["ledger"]["durability"] == "fsync"
    assert ready["checks"]["journal"]["ok"] is False  # told, and it does not count
    assert (await api.http.get("/health/startup")).json()["status"] == "started"


async def test_a_ledger_that_goes_away_and_comes_back(tmp_path: Any, namespace: str) -> None:
    server = Valkey(tmp_path)
    server.start()
    try:
        async with served(server.url, namespace) as api:
            await api.stock("A", 5)
            server.stop()
            answer = await api.http.get("/health/ready")
            assert answer.status_code == 503
            assert answer.json()["checks"]["ledger"]["ok"] is False
            assert (await api.http.get("/health/live")).status_code == 200
            headers = {"idempotency-key": "k"}
            for _ in range(3):
                with hurried(api.ledger, command_deadline_s=1.0):
                    refused = await api.reserve("A", headers=headers)
                assert refused.status_code == 503
                code = refused.json()["type"].rpartition(":")[2]
                assert code in {"ledger-unavailable", "outcome-unknown"}
                assert_problem(refused, 503, code)
            assert_problem(await api.send("GET", "/v1/availability/A"), 503, "ledger-unavailable")
            server.start()

            async def reserved() -> bool:
                return (await api.reserve("A", headers=headers)).status_code == 201

            await wait_until_async(reserved, description="reservations work again")
            assert await api.ats("A") == 4
    finally:
        server.stop()


async def test_metrics_have_no_ids_in_labels(api: Api) -> None:
    await api.stock("SECRET-SKU", 1)
    id = (await api.reserve("SECRET-SKU")).json()["id"]
    await api.send("GET", f"/v1/reservations/{id}")
    await api.http.get("/v1/SECRET-SKU/nothing")
    answer = await api.http.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert 'atp_reservation_commands_total{action="reserve",outcome="applied"}' in answer.text
    assert 'atp_request_seconds_count{method="POST",route="/v1/reservations",status="201"}' in answer.text
    assert 'route="unmatched"' in answer.text
    assert id not in answer.text
    assert "SECRET-SKU" not in answer.text
    assert api.key not in answer.text


async def test_the_page_works_without_the_internet(api: Api) -> None:
    page = await api.http.get("/docs")
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert not re.search(r"(?:https?:)?//[a-z]", page.text)
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "http" not in policy
    assert "<script>" not in page.text  # nothing inline, so the policy needs no exception for scripts
    for path in re.findall(r'(?:src|spec-url)="(/[^"]+)"', page.text):
        assert (await api.http.get(path)).status_code == 200
    script = await api.http.get("/docs/rapidoc-min.js")
    assert script.headers["content-type"] == "text/javascript; charset=utf-8"


async def test_the_bare_address_leads_to_the_page(api: Api) -> None:
    answer = await api.http.get("/")
    assert (answer.status_code, answer.content) == (303, b"")
    followed = await api.http.get("/", follow_redirects=True)
    assert (followed.status_code, followed.url.path) == (200, "/docs")


async def test_the_document_names_every_route(api: Api) -> None:
    answer = await api.http.get("/schema/openapi.json")
    assert answer.status_code == 200
    document = answer.json()
    for route in ROUTES:
        if route.documented:
            operation = document["paths"][route.path.replace(":str", "")][route.method.value.lower()]
            assert str(route.status) in operation["responses"]
            if route.body:
                schema = operation["requestBody"]["content"]["application/json"]["schema"]
                assert (schema["items"] if route.body_list else schema)["$ref"]
            if route.scopes:
                assert operation["security"] == [{"key": list(route.scopes)}]
                assert "application/problem+json" in operation["responses"]["401"]["content"]
    reserve = document["paths"]["/v1/reservations"]["post"]
    assert [(p["name"], p["required"]) for p in reserve["parameters"]] == [
        ("Idempotency-Key", True),
        ("X-Request-Timeout-Ms", False),
        ("ATP-Ticket", False),
    ]
    assert reserve["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].endswith("QuoteView")
    schemas = document["components"]["schemas"]
    for reference in re.findall(r'"#/components/schemas/([^"]+)"', answer.text):
        assert reference in schemas
    assert schemas["ReserveLineBody"]["properties"]["quantity"]["maximum"] == 1_000_000_000
    assert "state" in schemas["ReservationView"]["properties"]


async def test_every_reservation_route_is_documented_with_an_example(api: Api) -> None:
    document = (await api.http.get("/schema/openapi.json")).json()
    for route in ROUTES:
        if "reservations" in route.path or "availability" in route.path:
            operation = document["paths"][route.path.replace(":str", "")][route.method.value.lower()]
            answer = operation["responses"][str(route.status)]["content"][route.media_type]
            assert answer["examples"]["example"]["value"] == ANSWERS[route.name]
        if route.body:
            operation = document["paths"][route.path.replace(":str", "")][route.method.value.lower()]
            body = operation["requestBody"]["content"]["application/json"]
            assert body["examples"]["example"]["value"] == BODIES[route.name]
    quote = document["paths"]["/v1/reservations"]["post"]["responses"]["200"]["content"]["application/json"]
    assert quote["examples"]["example"]["value"] == QUOTE


def assert_within(part: Any, whole: Any) -> None:
    if isinstance(part, dict):
        assert part.keys() <= whole.keys() | {name for name, value in part.items() if value in (False, [], 0)}
        for name in part.keys() & whole.keys():
            assert_within(part[name], whole[name])
    elif isinstance(part, list):
        assert len(part) == len(whole)
        for one, other in zip(part, whole, strict=True):
            assert_within(one, other)
    else:
        assert part == whole


def test_the_examples_are_what_they_are_of() -> None:
    """Each can be decoded, and what it shows is in what was decoded: no field has a name of its own."""
    for route in ROUTES:
        body = list[route.body] if route.body_list else route.body
        for example, kind in ((BODIES.get(route.name), body), (ANSWERS.get(route.name), route.answer)):
            if example is not None:
                assert kind is not None
                assert_within(example, to_builtins(convert(example, kind)))
    assert_within(QUOTE, to_builtins(convert(QUOTE, QuoteView)))
    names = {route.name for route in ROUTES}
    assert names >= BODIES.keys() | ANSWERS.keys()


async def test_the_documentation_can_be_switched_off(valkey: str, namespace: str) -> None:
    async with served(valkey, namespace, ApiSettings(docs=False)) as api:
        for path in ("/", "/docs", "/docs/rapidoc-min.js", "/schema/openapi.json"):
            assert_problem(await api.http.get(path), 404, "not-found")


async def test_security_headers_are_on_every_answer(api: Api) -> None:
    for path in ("/health/live", "/nothing", "/v1/locations", "/docs"):
        headers = (await api.http.get(path)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["cache-control"]
        assert "server" not in headers or "litestar" not in headers["server"].lower()
