"""P0 alone: what a listener for confirm, release and the like answers (R25).

A class cannot be favoured before its request is read. Who pays and who cancels therefore has a port that those who
reserve cannot crowd, in production with a process of its own.
"""

from typing import Any

from atp.api.admission.classes import Class, Matcher
from atp.api.routes import ROUTES
from atp.api.stopping import AsgiApp

_NOWHERE = b"/v1/not-on-this-listener"


def only_p0(app: AsgiApp) -> AsgiApp:
    """``app`` for P0 routes; any other path is as if it were not there."""
    classes = Matcher((route.method, route.template, route.name) for route in ROUTES)

    async def answering(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and classes.match(scope["method"], scope["raw_path"]) is not Class.P0:
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
