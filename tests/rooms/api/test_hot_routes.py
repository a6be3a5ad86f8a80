"""The short way of the hot routes answers as Litestar's does: status, headers and body, for good and bad requests."""

import json
import re
from typing import Any

import pytest

from atp.api import ApiSettings
from atp.api.app import handler, litestar_app
from atp.api.door import front_door, hot_route
from atp.api.routes import ROUTES
from atp.api.service import Service
from atp.ledger import Ledger
from tests.support import patient_ledger

from .conftest import in_process, served

pytestmark = pytest.mark.anyio

JSON = {"content-type": "application/json"}
LINE = {"sku": "A", "quantity": 2}
TRANSFER = {"line_id": "1", "from": "a", "to": "a", "quantity": 1}

#: (method, path, headers, body); {id} is the first reservation.
REQUESTS: list[tuple[str, str, dict[str, str], Any]] = [
    ("POST", "/v1/reservations", {"idempotency-key": "k1"}, {"lines": [LINE]}),
    ("POST", "/v1/reservations", {"idempotency-key": "k1"}, {"lines": [LINE]}),
    ("POST", "/v1/reservations", {"idempotency-key": "k1"}, {"lines": [LINE, LINE]}),
    ("POST", "/v1/reservations", {"idempotency-key": "k2"}, {"lines": [{"sku": "A", "quantity": 99}]}),
    ("POST", "/v1/reservations", {"idempotency-key": "k3"}, {"lines": [LINE], "dry_run": True}),
    ("POST", "/v1/reservations", {"idempotency-key": "k4"}, {"lines": [{**LINE, "location": "nowhere"}]}),
    ("POST", "/v1/reservations", {"idempotency-key": "k5"}, {"lines": []}),
    ("POST", "/v1/reservations", {"idempotency-key": "k6"}, {"lines": [LINE], "typo": 1}),
    ("POST", "/v1/reservations", {"idempotency-key": "k7"}, b'{"lines": [{"sku": "A", "sku": "B", "quantity": 1}]}'),
    ("POST", "/v1/reservations", {"idempotency-key": "k8"}, b"[" * 100_000),
    ("POST", "/v1/reservations", {"idempotency-key": "k9"}, b"x" * 70_000),
    ("POST", "/v1/reservations", {"idempotency-key": "k10", "content-type": "text/plain"}, b"{}"),
    ("POST", "/v1/reservations", {"idempotency-key": "k11", "x-request-timeout-ms": "soon"}, {"lines": [LINE]}),
    ("POST", "/v1/reservations", {"idempotency-key": "k12", "authorization": "Bearer nobody"}, {"lines": [LINE]}),
    ("POST", "/v1/reservations", {}, {"lines": [LINE]}),
    ("POST", "/v1/reservations", {"idempotency-key": "k13"}, b""),
    ("POST", "/v1/reservations", {"idempotency-key": "k15\nk15"}, {"lines": [LINE]}),
    ("POST", "/v1/reservations", {"idempotency-key": "k16", "content-encoding": "gzip"}, {"lines": [LINE]}),
    ("POST", "/v1/reservations", {"idempotency-key": "k17", "content-encoding": "gzip\nidentity"}, {"lines": [LINE]}),
    ("POST", "/v1/reservations/", {"idempotency-key": "k14"}, {"lines": [{**LINE, "quantity": 1}]}),
    ("GET", "/v1/reservations/{id}", {}, None),
    ("POST", "/v1/reservations/{id}/extend", {"idempotency-key": "e1"}, {"ttl_seconds": 900}),
    ("POST", "/v1/reservations/{id}/extend", {"idempotency-key": "e1"}, {"ttl_seconds": 901}),
    ("POST", "/v1/reservations/{id}/confirm", {"idempotency-key": "c1"}, {"lines": [{"line_id": "1", "quantity": 1}]}),
    ("POST", "/v1/reservations/{id}/confirm", {"idempotency-key": "c2"}, {"lines": [{"line_id": "9", "quantity": 1}]}),
    ("POST", "/v1/reservations/{id}/confirm", {"idempotency-key": "c3"}, b""),
    ("POST", "/v1/reservations/{id}/confirm", {"idempotency-key": "c3"}, b""),
    ("POST", "/v1/reservations/{id}/fulfil", {"idempotency-key": "f1"}, {"shipment": "s1"}),
    ("POST", "/v1/reservations/{id}/acknowledge", {"idempotency-key": "a1"}, b""),
    ("POST", "/v1/reservations/{id}/transfer", {"idempotency-key": "t1"}, TRANSFER),
    ("POST", "/v1/reservations/{id}/release", {"idempotency-key": "r1"}, {"of": "held"}),
    ("POST", "/v1/reservations/{id}/refund", {"idempotency-key": "x1"}, b""),
    ("POST", "/v1/reservations/none/confirm", {"idempotency-key": "x2"}, b""),
    ("POST", "/v1/reservations/a%2Fb/confirm", {"idempotency-key": "x3"}, b""),
    ("DELETE", "/v1/reservations", {}, None),
    ("GET", "/v1/availability/A", {}, None),
    ("GET", "/v1/availability/A", {"if-none-match": '"x"\n*'}, None),
    ("GET", "/v1/availability/A", {"authorization": "Bearer a\nBearer b"}, None),
    ("GET", "/v1/availability/A?channel=web&location=DC1", {}, None),
    ("HEAD", "/v1/availability/A", {}, None),
    ("HEAD", "/v1/availability/%00", {}, None),
    ("HEAD", "/v1/availability/stream", {}, None),
    ("GET", "/v1/availability/A?chanel=web", {}, None),
    ("GET", "/v1/availability/a%2Fb", {}, None),
    ("GET", "/v1/availability/a%252Fb", {}, None),
    ("GET", "/v1/availability/%00", {}, None),
    ("GET", "/v1/availability/%FF", {}, None),
    ("GET", "/v1/availability/", {}, None),
    ("POST", "/v1/availability/query", {}, {"skus": ["A", "B"]}),
    ("POST", "/v1/availability/query", {}, {"skus": ["A", "A"], "channel": "web", "date": "2026-02-30"}),
    ("POST", "/v1/availability/query", {}, {"skus": ["A", "a b", " a"]}),
    ("POST", "/v1/availability/query", {}, {"skus": ["A", "\x00"]}),
    ("POST", "/v1/availability/query", {}, {"skus": []}),
    ("POST", "/v1/availability/query", {"authorization": "Bearer nobody"}, {"skus": ["A"]}),
    ("POST", "/v1/availability/query?x=1", {}, {"skus": ["A"]}),
    ("POST", "/v1/availability/query/", {}, {"skus": ["A"]}),
    ("GET", "/v1/availability/query", {}, None),
]  # fmt: skip

_TIMES = re.compile(rb'"\d{4}-\d\d-\d\dT[\d:.]+Z"|"(expires_in|lag)_seconds":[\d.]+|"request_id":"[^"]*"|"etag"')


async def test_both_ways_answer_alike(valkey: str, namespace: str) -> None:
    hot = await answers(valkey, namespace + "h", hot=True)
    slow = await answers(valkey, namespace + "s", hot=False)
    for request, left, right in zip(REQUESTS, hot, slow, strict=True):
        assert left == right, request
    assert {status for status, _, _ in hot} >= {200, 201, 400, 401, 404, 405, 409, 413, 415, 422}


async def answers(valkey: str, namespace: str, *, hot: bool) -> list[tuple[int, dict[str, str], bytes]]:
    """Play the requests against one way; what must differ (times, request ids) is taken out."""
    async with served(valkey, namespace) as api:
        await api.stock("A", 9)
        key = await api.add_client("twin", ["availability:read", "reservations:write", "reservations:fulfil"])
        ledger = Ledger(patient_ledger(valkey, namespace))
        await ledger.open({})
        service = Service(ledger, None, ApiSettings(lame_duck_s=0))
        await service.clients.run_once()
        app = front_door(service if hot else None, litestar_app(service, [handler(service, r) for r in ROUTES]))
        found, first = [], ""
        try:
            for method, path, headers, body in REQUESTS:
                raw = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else b""
                asked = {"authorization": f"Bearer {key}", **(JSON if raw else {}), **headers}
                status, answered, content = await in_process(app, method, path.replace("{id}", first), asked, raw)
                for name in ("x-request-id", "etag", "content-length"):  # of the times and ids inside
                    answered.pop(name, None)
                first = first or json.loads(content)["id"]
                found.append((status, answered, _TIMES.sub(b"-", content)))
        finally:
            await service.view.close()
            await ledger.close()
        return found


def test_only_hot_routes_take_the_short_way() -> None:
    assert hot_route("POST", b"/v1/reservations")
    assert hot_route("GET", b"/v1/availability/a%2Fb")
    assert hot_route("POST", b"/v1/availability/query")
    for method, path in [
        ("GET", b"/v1/reservations"), ("POST", b"/v1/reservations/"), ("POST", b"/v1/reservations/batch"),
        ("POST", b"/v1/reservations-x/a/confirm"), ("POST", b"/v1/reservations//confirm"),
        ("POST", b"/v1/reservations/a/confirm/b"), ("GET", b"/v1/availability/"), ("GET", b"/v1/availability/a/b"),
        ("POST", b"/v1/availability/query/"), ("PUT", b"/v1/reservations"),
    ]:  # fmt: skip
        assert hot_route(method, path) is None
