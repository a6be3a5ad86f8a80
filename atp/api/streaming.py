"""Streaming: an answer that goes on, until it ends, its reader leaves, or its reader does not read."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

#: A reader that takes nothing for so long is let go; nothing more is made for it meanwhile.
STALLED_S = 30.0

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]


async def send_stream(receive: Receive, send: Send, parts: AsyncGenerator[bytes]) -> None:
    """Send the body of an answer whose head was sent."""
    sending = asyncio.create_task(_send(send, parts))
    leaving = asyncio.create_task(_left(receive))
    try:
        await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (sending, leaving):
            task.cancel()
        await asyncio.gather(sending, leaving, return_exceptions=True)
    if sending.done() and not sending.cancelled() and (error := sending.exception()) and not isinstance(error, OSError):
        raise error


async def _send(send: Send, parts: AsyncGenerator[bytes]) -> None:
    async with aclosing(parts):
        async for part in parts:
            try:
                async with asyncio.timeout(STALLED_S):
                    await send({"type": "http.response.body", "body": part, "more_body": True})
            except TimeoutError:
                return
    await send({"type": "http.response.body", "body": b""})


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
