"""Stopping: what callers are told between the request to stop and the closed door.

A client that keeps its connection alive learns of the end by ``connection: close`` on its next answer, instead of by
a connection that breaks under its next request; a load balancer learns of it from ``/health/ready``.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

AsgiApp = Callable[[Any, Any, Any], Awaitable[None]]  # frameworks and servers each name these types themselves

_CLOSE = (b"connection", b"close")


def says_goodbye(app: AsgiApp, stop: asyncio.Event) -> AsgiApp:
    """``app`` with ``connection: close`` on every answer that begins after ``stop`` was set.

    Requests that begin after it find ``stopping`` in the scope's state.
    """

    async def saying(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return

        async def send_last(message: Any) -> None:
            if stop.is_set() and message["type"] == "http.response.start":
                headers = [header for header in message["headers"] if header[0] != b"connection"]
                message = {**message, "headers": [*headers, _CLOSE]}
            await send(message)

        if stop.is_set():
            scope = {**scope, "state": {**scope.get("state", {}), "stopping": True}}
        await app(scope, receive, send_last)

    return saying
