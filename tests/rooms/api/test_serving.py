"""The server: alone on its port or beside its siblings, and gone without dropping what it accepted."""

import asyncio
import socket
from typing import Any

import httpx
import pytest

from atp.api import ApiSettings, PortTaken, serve
from atp.api.door import front_door
from atp.dev.ports import free_port
from tests.support import wait_until_async

from .conftest import served

pytestmark = pytest.mark.anyio


class Slow:
    """An app whose answers wait for the test."""

    def __init__(self, name: bytes = b"slow") -> None:
        self.name = name
        self.inside = 0
        self.go_on = asyncio.Event()
        self.ended = False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            self.ended = True
            await send({"type": "lifespan.shutdown.complete"})
            return
        self.inside += 1
        await self.go_on.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
        await send({"type": "http.response.body", "body": self.name})


async def test_requests_under_way_are_answered_before_the_end() -> None:
    app, port, stop = Slow(), free_port(), asyncio.Event()
    serving = asyncio.create_task(serve(front_door(None, app), "127.0.0.1", port, stop))
    await wait_until_async(lambda: listens(port), description="the server listens")
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=10) as http:
        requests = [asyncio.create_task(http.get("/")) for _ in range(20)]
        await wait_until_async(lambda: app.inside == 20, description="all requests are under way")
        stop.set()
        await wait_until_async(lambda: not listens(port), description="nothing new is accepted")
        assert not serving.done()
        app.go_on.set()
        answers = await asyncio.gather(*requests)
    assert [answer.text for answer in answers] == ["slow"] * 20
    assert {answer.headers["connection"] for answer in answers} == {"close"}  # begun before the stop, answered after it
    await serving
    assert app.ended


async def test_stopping_in_the_middle_of_traffic_loses_no_reservation(valkey: str, namespace: str) -> None:
    stop = asyncio.Event()
    async with served(valkey, namespace, stop=stop) as api:
        await api.stock("A", 1_000_000)
        granted = 0
        refused = asyncio.Event()

        async def shopper() -> None:
            nonlocal granted
            while not refused.is_set():
                try:
                    answer = await api.reserve("A")
                except httpx.TransportError:
                    refused.set()
                    return
                assert answer.status_code == 201
                granted += 1

        shoppers = [asyncio.create_task(shopper()) for _ in range(8)]
        await wait_until_async(lambda: granted > 50, description="traffic flows")
        stop.set()
        await asyncio.gather(*shoppers)
        # Whoever was answered has the units; a request that met the closed door had no effect or can be repeated.
        assert 1_000_000 - await api.ats("A") >= granted


async def test_before_the_door_closes_everybody_is_told(valkey: str, namespace: str) -> None:
    for lame_duck_s in (2.0, 15.0):  # a machine that stands still for two seconds finds it closed
        try:
            return await everybody_is_told(valkey, f"{namespace}-{lame_duck_s:.0f}", lame_duck_s)
        except (OSError, EOFError, httpx.TransportError) as error:
            closed = error
    raise closed


async def everybody_is_told(valkey: str, namespace: str, lame_duck_s: float) -> None:
    stop = asyncio.Event()
    async with served(valkey, namespace, ApiSettings(lame_duck_s=lame_duck_s), stop=stop) as api:
        await api.stock("A", 9)
        assert "connection" not in (await api.reserve("A")).headers
        kept = await asyncio.open_connection("127.0.0.1", api.port)
        first = await exchange(kept)
        assert first.startswith(b"HTTP/1.1 200 ")
        assert b"connection: close" not in first
        stop.set()
        last = await exchange(kept)
        assert last.startswith(b"HTTP/1.1 200 ")
        assert b"\r\nconnection: close\r\n" in last
        assert await kept[0].read() == b""  # the server closed the connection after it
        kept[1].close()

        ready = await api.http.get("/health/ready")
        assert (ready.status_code, ready.json()["status"]) == (503, "stopping")
        assert ready.headers["retry-after"]
        assert (await api.http.get("/health/live")).status_code == 200
        for answer in (await api.reserve("A"), await api.http.get("/v1/nothing"), ready):
            assert answer.headers.get_list("connection") == ["close"]
        assert await api.ats("A") == 7
        await wait_until_async(lambda: not listens(api.port), 30, "nothing new is accepted")


async def exchange(connection: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> bytes:
    """One request over a connection that is kept; returns the answer's head with its body read away."""
    reader, writer = connection
    writer.write(b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n")
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
    length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    await reader.readexactly(length)
    return head.lower().replace(b"http/1.1", b"HTTP/1.1", 1)


async def test_a_stop_before_the_start_ends_at_once() -> None:
    app, stop = Slow(), asyncio.Event()
    stop.set()
    await asyncio.wait_for(serve(app, "127.0.0.1", free_port(), stop), 20)


async def test_a_port_that_is_taken_is_named() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(PortTaken, match=str(port)):
            await serve(Slow(), "127.0.0.1", port, asyncio.Event())


async def test_workers_share_a_port_when_told_to() -> None:
    first, second, port, stop = Slow(b"one1"), Slow(b"two2"), free_port(), asyncio.Event()
    serving = [asyncio.create_task(serve(app, "127.0.0.1", port, stop, shared=True)) for app in (first, second)]
    first.go_on.set()
    second.go_on.set()
    await wait_until_async(lambda: listens(port), description="the servers listen")
    seen: set[str] = set()

    async def both() -> bool:
        async with httpx.AsyncClient() as http:
            seen.add((await http.get(f"http://127.0.0.1:{port}/")).text)
        return len(seen) == 2

    await wait_until_async(both, description="each worker gets some of the connections")
    with pytest.raises(PortTaken):
        await serve(Slow(), "127.0.0.1", port, asyncio.Event())
    stop.set()
    await asyncio.gather(*serving)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
