"""An answer that goes on: whoever does not read it costs no more than the sockets' buffers, and is let go."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import pytest

from atp.api import serve, streaming
from atp.api.streaming import send_stream
from atp.dev.ports import free_port, is_free
from tests.support import wait_until_async

pytestmark = pytest.mark.anyio

PART = b"x" * 65_536
PARTS = 5_000


class Endless:
    """An answer far larger than any buffer, and how much of it was made."""

    def __init__(self) -> None:
        self.made = 0
        self.ended = asyncio.Event()

    async def parts(self) -> AsyncGenerator[bytes]:
        try:
            for _ in range(PARTS):
                self.made += 1
                yield PART
                await asyncio.sleep(0)
        finally:
            self.ended.set()

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send_stream(receive, send, self.parts())


@contextlib.asynccontextmanager
async def reader_of(endless: Endless) -> AsyncIterator[socket.socket]:
    """A client that has asked and has not read."""
    stop, port = asyncio.Event(), free_port()
    serving = asyncio.create_task(serve(endless.app, "127.0.0.1", port, stop))
    await wait_until_async(lambda: not is_free(port))
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        client.connect(("127.0.0.1", port))
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        yield client
    stop.set()
    await serving


async def test_a_reader_that_takes_nothing_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "STALLED_S", 0.3)
    endless = Endless()
    async with reader_of(endless):
        await asyncio.wait_for(endless.ended.wait(), 10)
    assert endless.made * len(PART) < 32_000_000


async def test_a_reader_that_leaves_ends_the_answer() -> None:
    endless = Endless()
    async with reader_of(endless) as client:
        await wait_until_async(lambda: endless.made > 2)
        client.close()
        await asyncio.wait_for(endless.ended.wait(), 10)
