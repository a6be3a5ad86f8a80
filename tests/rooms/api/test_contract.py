"""The contract's routes, written down a second time: all are there, and there is none that nobody meant."""

import httpx
import pytest
from msgspec import json

from atp.api import ApiSettings
from atp.api.routes import ROUTES
from atp.asyncapi import OUT, document
from atp.ingest.events import DATA, TYPES

from .conftest import Api, served

pytestmark = pytest.mark.anyio

#: Method and path as CONTRACT "HTTP" has them.
CONTRACT = """\
POST /v1/reservations
POST /v1/reservations/batch
GET /v1/reservations/{id}
GET /v1/reservations
POST /v1/reservations/{id}/confirm
POST /v1/reservations/{id}/release
POST /v1/reservations/{id}/extend
POST /v1/reservations/{id}/fulfil
POST /v1/reservations/{id}/transfer
POST /v1/reservations/{id}/acknowledge
GET /v1/availability/{sku}
POST /v1/availability/query
GET /v1/availability/changes
GET /v1/availability/stream
POST /v1/stock/events
GET /v1/locations
GET /v1/sources
GET /v1/channels
GET /v1/campaigns
GET /v1/items
GET /v1/reservations/{id}/history
GET /v1/stock/{sku}/entries
POST /v1/stock/adjust
POST /v1/stock/raw/{mapping}/{source}
POST /v1/sources/{id}/restart
DELETE /v1/customers/{id}
POST /v1/rebuilds
PUT /v1/items/{sku}/channels/{channel}
GET /v1/exceptions
POST /v1/exceptions/{id}/resolve
GET /v1/dead-letters
POST /v1/dead-letters/{id}/replay
POST /v1/dead-letters/replay
POST /v1/dead-letters/{id}/discard
POST /v1/dead-letters/discard
POST /v1/checks
GET /v1/checks/{id}
GET /v1/clients
POST /v1/clients
DELETE /v1/clients/{id}
POST /v1/clients/{id}/keys
DELETE /v1/clients/{id}/keys/{prefix}
GET /health/live
GET /health/ready
GET /health/startup
GET /metrics
GET /docs
GET /
GET /schema/asyncapi.json
""".splitlines()

POLICIES = [
    f"{method} /v1/{kind}"
    for method in ("PUT", "GET", "DELETE")
    for kind in (
        "locations/{id}", "location-groups/{id}", "sources/{id}", "items/{sku}", "channels/{id}", "campaigns/{id}"
    )
]  # fmt: skip


def test_all_routes_of_the_contract_are_there() -> None:
    there = {f"{route.method.value} {route.template}" for route in ROUTES}
    assert not {*CONTRACT, *POLICIES} - there
    assert len({(route.method, route.template) for route in ROUTES}) == len(ROUTES)
    assert len({route.name for route in ROUTES}) == len(ROUTES)


async def test_the_document_has_every_route_and_no_other(api: Api) -> None:
    document = (await api.http.get("/schema/openapi.json")).json()
    documented = {f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods}
    there = {f"{route.method.value} {route.template}" for route in ROUTES if route.documented}
    assert documented == there
    assert (await api.http.get("/schema/openapi.json")).json() == document  # a second time, too


async def test_the_document_has_what_is_sent_beside_bodies(api: Api) -> None:
    paths = (await api.http.get("/schema/openapi.json")).json()["paths"]

    def documented(answer: httpx.Response, path: str) -> set[str]:
        responses = paths[path][answer.request.method.lower()]["responses"]
        said = {name.lower() for name in responses[str(answer.status_code)].get("headers", {})}
        told = {"etag", "location", "retry-after", "idempotency-replayed"}
        assert told & set(answer.headers) <= said, (path, answer.status_code)
        return said

    await api.stock("A", 5)
    sku, location = "/v1/availability/{sku}", "/v1/locations/{id}"
    first = await api.send("GET", "/v1/availability/A")
    assert documented(first, sku) == {"etag"}
    same = await api.send("GET", "/v1/availability/A", headers={"if-none-match": first.headers["etag"]})
    assert (same.status_code, documented(same, sku)) == (304, {"etag"})
    late = await api.send("GET", "/v1/availability/A?min_position=0:999999999")
    assert (late.status_code, documented(late, sku)) == (503, {"retry-after"})
    put = await api.send("PUT", "/v1/locations/DC2", json={"kind": "store"}, key=api.admin)
    assert documented(put, location) == {"etag"}
    assert documented(await api.send("GET", "/v1/locations/DC2", key=api.admin), location) == {"etag"}
    for repeated in (False, True):
        held = await api.reserve("A", headers={"idempotency-key": "k"})
        assert documented(held, "/v1/reservations") == {"idempotency-replayed"}
        assert ("idempotency-replayed" in held.headers) == repeated
    made = await api.send("POST", "/v1/clients", json={"id": "x", "scopes": ["admin"]}, key=api.admin)
    assert documented(made, "/v1/clients") == {"etag"}
    assert paths["/v1/checks"]["post"]["responses"]["202"]["headers"].keys() == {"Location"}
    for path in ("/health/ready", "/health/startup"):
        assert "503" in paths[path]["get"]["responses"]


def references(value: object) -> set[str]:
    if isinstance(value, dict):
        inner = set().union(*map(references, value.values())) if value else set()
        return inner | ({value["$ref"]} if isinstance(value.get("$ref"), str) else set())
    return set().union(*map(references, value)) if isinstance(value, list) and value else set()


def test_the_document_of_events() -> None:
    made = json.decode(document())
    assert made["asyncapi"] == "3.0.0"
    for reference in references(made):
        place = made
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]
    assert set(DATA) == set(TYPES)
    assert set(made["components"]["messages"]) == set(TYPES) | {f"atp.v1.{what}" for what in OUT}
    assert made["channels"]["stock"]["address"] == "stock.v1.{source}"
    assert made["operations"]["stock"]["action"] == "receive"
    assert made["operations"]["atp.v1.shortage"]["action"] == "send"
    lines = made["components"]["schemas"]["LevelData"]["properties"]["lines"]
    assert lines["maxItems"] == 1_000


async def test_it_is_served(valkey: str, namespace: str) -> None:
    async with served(valkey, namespace, ApiSettings(lame_duck_s=0, asyncapi=document())) as api:
        answer = await api.http.get("/schema/asyncapi.json")
        assert answer.headers["content-type"] == "application/json"
        assert answer.json()["asyncapi"] == "3.0.0"
