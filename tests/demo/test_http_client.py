"""The demo's small HTTP client: whatever it cannot know for certain it says is not known."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from atp.demo.http import Client, NoAnswer

pytestmark = pytest.mark.anyio

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def server(serve: Serve) -> AsyncIterator[Client]:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client left
        finally:
            writer.close()

    listening = await asyncio.start_server(connected, "127.0.0.1", 0)
    client = Client(f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}", "the-key")
    try:
        yield client
    finally:
        client.close()
        listening.close()


async def head(reader: asyncio.StreamReader) -> str:
    return (await reader.readuntil(b"\r\n\r\n")).decode()


async def test_an_answer_in_pieces_is_put_together() -> None:
    heads = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            heads.append(await head(reader))
            await reader.readexactly(2)
            for piece in (b"HTTP/1.1 201 Cre", b"ated\r\nX-Name: a:b\r\ncontent-le", b"ngth: 4\r\n\r", b"\nbo", b"dy"):
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0.001)

    async with server(serve) as client:
        for _ in range(2):
            answer = await client.ask("POST", "/v1/x", b"{}", "k-1")
            assert (answer.status, answer.headers[b"x-name"], answer.body) == (201, b"a:b", b"body")
    assert "Authorization: Bearer the-key\r\n" in heads[0]
    assert "Idempotency-Key: k-1\r\n" in heads[0]


async def test_a_lost_connection_is_no_answer_and_the_next_request_connects_again() -> None:
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await head(reader)
        if connections > 1:
            writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
            await writer.drain()

    async with server(serve) as client:
        with pytest.raises(NoAnswer):
            await client.ask("GET", "/")
        assert (await client.ask("GET", "/")).status == 204


async def test_a_late_answer_is_never_taken_for_the_next_one() -> None:
    asked = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await head(reader)).split()[1]
        if path == "/slow":
            await asked.wait()
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(path)}\r\n\r\n{path}".encode())
        await writer.drain()
        asked.set()

    async with server(serve) as client:
        with pytest.raises(NoAnswer):
            await client.ask("GET", "/slow", timeout_s=0.05)
        assert (await client.ask("GET", "/next")).body == b"/next"


async def test_nobody_listening_is_no_answer() -> None:
    async with server(lambda reader, writer: asyncio.sleep(0)) as client:
        pass
    with pytest.raises(NoAnswer):
        await client.ask("GET", "/")
