"""HEAD is GET without the body (RFC 9110 §9.3.2), and whoever asks what a route knows is told of it."""

import asyncio

import pytest

from atp.api import ApiSettings, create_app
from atp.api.p0 import only_operations, only_p0

from .conftest import Api, in_process, served

pytestmark = pytest.mark.anyio

#: Differs between any two answers.
OWN = {"x-request-id", "date"}

PATHS = [
    "/", "/health/live", "/health/ready", "/metrics", "/docs", "/schema/openapi.json", "/v1/locations",
    "/v1/locations/DC1", "/v1/locations/none", "/v1/items/a%2Fb", "/v1/availability/A",
    "/v1/availability/A?explain=x", "/v1/nothing",
    "/v1/reservations/none", "/v1/reservations", "/v1/availability/changes", "/v1/availability/query",
]  # fmt: skip


async def test_head_answers_as_get_does(api: Api) -> None:
    await api.stock("A", 5)
    for path in PATHS:
        key = api.admin if "/locations" in path or "/items" in path else api.key
        await api.send("GET", path, key=key)
        whole = await api.send("GET", path, key=key)  # of availability from what is prepared
        head = await api.send("HEAD", path, key=key)
        assert (head.status_code, head.content) == (whole.status_code, b""), path
        varies = OWN if path != "/metrics" else {*OWN, "content-length"}
        assert told(head.headers, varies) == told(whole.headers, varies), path
    etag = (await api.send("HEAD", "/v1/availability/A")).headers["etag"]
    assert (await api.send("HEAD", "/v1/availability/A", headers={"if-none-match": etag})).status_code == 304
    assert (await api.http.head("/v1/availability/A")).status_code == 401


async def test_a_head_is_counted_as_one(api: Api) -> None:
    await api.stock("A", 5)
    for path in ("/v1/availability/A", "/health/live"):
        await api.send("HEAD", path)
    metrics = (await api.send("GET", "/metrics")).text
    for route in ("/v1/availability/{sku}", "/health/live"):
        assert f'atp_request_seconds_count{{method="HEAD",route="{route}",status="200"}}' in metrics


def told(headers: object, varies: set[str]) -> dict[str, str]:
    return {name: value for name, value in dict(headers).items() if name not in varies}  # pyright: ignore


async def test_a_connection_goes_on_after_a_head(api: Api) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    writer.write(
        b"HEAD /docs HTTP/1.1\r\nhost: x\r\n\r\nGET /health/live HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    )
    answers = (await reader.read()).split(b"HTTP/1.1 ")[1:]
    writer.close()
    await writer.wait_closed()
    assert [answer[:3] for answer in answers] == [b"200", b"200"]
    assert answers[0].endswith(b"\r\n\r\n")


async def test_allow_names_head(api: Api) -> None:
    for answer in (await api.http.delete("/v1/locations"), await api.http.options("/v1/locations")):
        assert named(answer.headers["allow"]) == {"GET", "HEAD", "OPTIONS"}
    assert named((await api.http.delete("/v1/reservations/batch")).headers["allow"]) == {"POST", "OPTIONS"}


async def test_a_stream_has_no_head(api: Api) -> None:
    for answer in (
        await api.send("HEAD", "/v1/availability/stream"),
        await api.send("POST", "/v1/availability/stream"),
    ):
        assert answer.status_code == 405
        assert named(answer.headers["allow"]) == {"GET", "OPTIONS"}


def named(allow: str) -> set[str]:
    return {method.strip() for method in allow.split(",")}


async def test_listeners_of_their_own_answer_head(valkey: str, namespace: str) -> None:
    async with served(valkey, namespace) as api:
        app = create_app(api.ledger, None, ApiSettings(lame_duck_s=0))
        for only in (only_p0, only_operations):
            status, headers, body = await in_process(only(app), "HEAD", "/health/live", {})
            assert (status, body) == (200, b"")
            assert int(headers["content-length"]) > 0
            assert (await in_process(only(app), "HEAD", "/v1/locations", {}))[0] == 404
