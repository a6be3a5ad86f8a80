"""The real thing for every test: granian, a real ledger on a Valkey of the test's own namespace, real HTTP."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from itertools import count
from typing import Any
from uuid import uuid4

import httpx
import pytest
from msgspec import json

from atp.api import ApiSettings, create_app, serve
from atp.dev.ports import free_port
from atp.domain.commands import Level, PutPolicy
from atp.domain.keys import SCOPES, Client, Quota, new_key
from atp.domain.outcomes import Outcome
from atp.ledger import Ledger
from tests.support import patient_ledger, wait_until_async


class Api:
    """A served API, and the ledger behind it for arranging things."""

    def __init__(self, ledger: Ledger, port: int, http: httpx.AsyncClient) -> None:
        self.ledger = ledger
        self.port = port
        self.http = http
        self.key = ""  # all scopes but admin
        self.admin = ""
        self._versions = count(1)

    async def add_client(
        self,
        name: str,
        scopes: list[str],
        channels: list[str] | None = None,
        sources: list[str] | None = None,
        quotas: dict[str, Quota] | None = None,
    ) -> str:
        """Put a client and return its key."""
        key, record = new_key("2026-11-21T10:00:00Z")
        client = Client(scopes, channels or [], [record], sources=sources or [], quotas=quotas or {})
        body = json.encode(client).decode()
        result = await self.ledger.put_policy(PutPolicy("client", name, body))
        assert result.outcome is Outcome.APPLIED
        return key

    async def stock(self, sku: str, quantity: int, location: str = "DC1") -> None:
        """Make ``quantity`` the level of ``sku``."""
        if await self.ledger.policy("location", location) is None:
            await self.ledger.put_policy(PutPolicy("location", location, '{"kind":"warehouse"}'))
        version = (0, next(self._versions))
        (result,) = await self.ledger.apply([Level(sku, location, "wms", quantity, "sequence", version, "", 0, 0)])
        assert result.outcome is Outcome.APPLIED

    async def send(self, method: str, path: str, *, key: str | None = None, **options: Any) -> httpx.Response:
        """A request with a bearer key (the shop's unless given) and, for POST, an Idempotency-Key."""
        headers = {"authorization": f"Bearer {self.key if key is None else key}"}
        if method == "POST":
            headers["idempotency-key"] = uuid4().hex
        headers |= options.pop("headers", {})
        return await self.http.request(method, path, headers=headers, **options)

    async def reserve(self, sku: str, quantity: int = 1, **options: Any) -> httpx.Response:
        """Reserve one line; keyword ``body`` adds fields to the request."""
        body = {"lines": [{"sku": sku, "quantity": quantity}]} | options.pop("body", {})
        return await self.send("POST", "/v1/reservations", json=body, **options)

    async def ats(self, sku: str) -> int:
        (stock,) = await self.ledger.availability([sku])
        return stock.ats


@contextlib.asynccontextmanager
async def served(valkey: str, namespace: str, settings: ApiSettings | None = None, **names: Any) -> AsyncIterator[Api]:
    """Serve an API; keywords: ``journal``, ``partitions``, ``stop`` (an event that the test sets itself), ``desk``,
    ``door``, ``raw`` and ``suspects`` of NATS, ``watch``, which makes of the ledger who rebuilds it, and ``beside``:
    another process of the same service, whose clients it has."""
    ledger = Ledger(patient_ledger(valkey, namespace, names.get("partitions", 1)))
    await ledger.open({})
    stop, port = names.get("stop") or asyncio.Event(), free_port()
    loops = [asyncio.create_task(ledger.sweep(stop))]
    serving = watch = None
    if make := names.get("watch"):
        watch = make(ledger)
        loops.append(asyncio.create_task(watch.run(stop)))
    try:
        settings = settings or ApiSettings(lame_duck_s=0)
        doors = {name: names.get(name) for name in ("desk", "door", "raw", "suspects", "changes")}
        app = create_app(ledger, names.get("journal"), settings, **doors, rebuilds=watch)
        serving = asyncio.create_task(serve(app, "127.0.0.1", port, stop, settings=settings))
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20) as http:
            api = Api(ledger, port, http)
            if (beside := names.get("beside")) is None:
                api.key = await api.add_client("shop", [scope for scope in SCOPES if scope != "admin"])
                api.admin = await api.add_client("operator", ["admin"])
            else:
                api.key, api.admin = beside.key, beside.admin
            await wait_until_async(lambda: is_ready(api), description="the API is ready")
            yield api
    finally:
        stop.set()
        if serving is not None:
            await serving
        await asyncio.gather(*loops)
        await ledger.close()


async def is_ready(api: Api) -> bool:
    try:
        return (await api.http.get("/health/ready")).status_code == 200
    except httpx.TransportError:
        return False


async def in_process(
    app: Any, method: str, path: str, headers: dict[str, str], body: bytes = b"", stop: asyncio.Event | None = None
) -> tuple[int, dict[str, str], bytes]:
    """One ASGI call as the server would make it, and its answer. A header with several lines is sent several times."""
    raw_path, _, query = path.partition("?")
    given = {"content-length": str(len(body)), **headers}
    lines = [(name.encode(), line.encode()) for name, value in given.items() for line in value.split("\n")]
    scope = {
        "type": "http", "method": method, "path": raw_path, "raw_path": raw_path.encode(), "root_path": "",
        "query_string": query.encode(), "headers": lines,
        "http_version": "1.1", "scheme": "http", "server": ("127.0.0.1", 80), "client": ("127.0.0.1", 1),
        "asgi": {"version": "3.0"}, "extensions": {}, "state": {"stop": stop},
    }  # fmt: skip
    messages = [{"type": "http.request", "body": body, "more_body": False}]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return messages.pop() if messages else {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    answered = {k.decode(): v.decode() for k, v in sent[0]["headers"]}
    assert len(answered) == len(sent[0]["headers"]), "a header is there twice"
    return sent[0]["status"], answered, b"".join(m.get("body", b"") for m in sent[1:])


@pytest.fixture
async def api(valkey: str, namespace: str) -> AsyncIterator[Api]:
    async with served(valkey, namespace) as api:
        yield api


def assert_problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The answer is an RFC 9457 problem of this kind; returns its body."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"].endswith(f":{code}")
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"]
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert ("retry-after" in answer.headers) == (status in {429, 503})
    return problem
