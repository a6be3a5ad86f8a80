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

    Requests find ``stop`` in the scope's state, those that begin after it ``stopping`` as well.
    """

    # Plain functions that pass the awaitables on: a coroutine of their own would cost every request.

    def saying(scope: Any, receive: Any, send: Any) -> Awaitable[None]:
        if scope["type"] != "http":
            return app(scope, receive, send)

        def send_last(message: Any) -> Awaitable[None]:
            if stop.is_set() and message["type"] == "http.response.start":
                headers = [header for header in message["headers"] if header[0] != b"connection"]
                message = {**message, "headers": [*headers, _CLOSE]}
            return send(message)

        state = scope.get("state") or {}
        state["stop"] = stop
        if stop.is_set():
            state["stopping"] = True
        scope["state"] = state
        return app(scope, receive, send_last)

    return saying
