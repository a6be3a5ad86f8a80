"""Stopping: what callers are told between the request to stop and the closed door.

A client that keeps its connection alive learns of the end by ``connection: close`` on its next answer, instead of by
a connection that breaks under its next request; a load balancer learns of it from ``/health/ready``.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

AsgiApp = Callable[[Any, Any, Any], Awaitable[None]]  # frameworks and servers each name these types themselves

Headers = list[tuple[bytes, bytes]] | tuple[tuple[bytes, bytes], ...]

_CLOSE = (b"connection", b"close")


def knows_stop(app: AsgiApp, stop: asyncio.Event) -> AsgiApp:
    """``app``, whose requests find ``stop`` in the scope's state."""

    def knowing(scope: Any, receive: Any, send: Any) -> Awaitable[None]:  # a coroutine would cost every request
        if scope["type"] == "http":
            scope["state"]["stop"] = stop
        return app(scope, receive, send)

    return knowing


def closing[H: Headers](headers: H, state: Mapping[str, Any]) -> H:
    """``headers`` of an answer that begins now: with ``connection: close`` once the process was told to stop."""
    stop: asyncio.Event | None = state.get("stop")
    if stop is None or not stop.is_set():
        return headers
    return type(headers)([*(header for header in headers if header[0] != _CLOSE[0]), _CLOSE])  # pyright: ignore[reportReturnType] - of its own type
