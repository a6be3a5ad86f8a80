"""P0 alone: what a listener for confirm, release and the like answers (R25).

A class cannot be favoured before its request is read. Who pays and who cancels therefore has a port that those who
reserve cannot crowd, in production with a process of its own.
"""

from collections.abc import Callable
from typing import Any

from atp.api.admission.classes import CLASSES, Class, Matcher
from atp.api.routes import ROUTES
from atp.api.stopping import AsgiApp

_NOWHERE = b"/v1/not-on-this-listener"


_OPERATIONS = ("health_live", "health_ready", "health_startup", "metrics")


def only_p0(app: AsgiApp) -> AsgiApp:
    """``app`` for P0 routes; any other path is as if it were not there."""
    return _only(app, lambda name: CLASSES[name] is Class.P0)


def only_operations(app: AsgiApp) -> AsgiApp:
    """``app`` for health and metrics: on a port that several processes share, any of them would answer."""
    return _only(app, lambda name: name in _OPERATIONS)


def _only(app: AsgiApp, wanted: Callable[[str], bool]) -> AsgiApp:
    paths = Matcher((route.method, route.template, route.name) for route in ROUTES if wanted(route.name))

    async def answering(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            method = "GET" if scope["method"] == "HEAD" else scope["method"]
            if paths.match(method, scope["raw_path"]) is Class.P3:
                scope = {**scope, "path": _NOWHERE.decode(), "raw_path": _NOWHERE}
        await app(scope, receive, send)

    return answering


def beside(app: AsgiApp) -> AsgiApp:
    """``app`` for a second listener of a process: the first one starts and stops it."""

    async def answering(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            await app(scope, receive, send)
            return
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})

    return answering
