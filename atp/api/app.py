"""App: the routes on Litestar, behind one door that every request and every answer passes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any

import structlog
from litestar import Litestar, Request, Response, Router
from litestar.exceptions import HTTPException, ImproperlyConfiguredException, MethodNotAllowedException
from litestar.handlers import HTTPRouteHandler
from litestar.response.base import ASGIResponse
from litestar.response.streaming import ASGIStreamingResponse

from atp.api.access.identity import PUBLIC
from atp.api.call import Call
from atp.api.documents import openapi_config, operation_class, responses
from atp.api.door import front_door, problem_answer, respond
from atp.api.following import Changes
from atp.api.problems import INTERNAL, INVALID, METHOD_NOT_ALLOWED, NOT_FOUND, Problem
from atp.api.routes import ROUTES, Route
from atp.api.service import EventDoor, RawDoor, Rebuilds, Service
from atp.api.settings import ApiSettings
from atp.api.stopping import AsgiApp
from atp.deadletters import Desk, Suspects
from atp.journal import Journal
from atp.ledger import Ledger, LedgerError

log = structlog.get_logger("atp.api")

#: Litestar puts it behind the type of every text by itself.
_CHARSET = "; charset=utf-8"

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]


def create_app(
    ledger: Ledger,
    journal: Journal | None,
    settings: ApiSettings,
    *,
    desk: Desk | None = None,
    door: EventDoor | None = None,
    raw: RawDoor | None = None,
    suspects: Suspects | None = None,
    rebuilds: Rebuilds | None = None,
    changes: Changes | None = None,
) -> AsgiApp:
    """The HTTP API over an open ledger. ``journal`` None says that PostgreSQL is away, the others None without NATS.

    Raises ImproperlyConfiguredException if a route has no declared scopes.
    """
    service = Service(
        ledger, journal, settings, desk=desk, door=door, raw=raw, suspects=suspects, rebuilds=rebuilds, changes=changes
    )
    return front_door(service, litestar_app(service, [handler(service, route) for route in ROUTES]))


def litestar_app(service: Service, handlers: list[HTTPRouteHandler]) -> Litestar:
    """Routing, the document, and a problem answer for whatever is raised on the way."""

    @contextlib.asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncIterator[None]:
        with contextlib.suppress(LedgerError):  # start all the same: /health/ready says so, and the loop goes on trying
            await service.clients.run_once()
        loops = (service.clients, service.quotas, service.rooms, service.control)
        tasks = [asyncio.create_task(each.run()) for each in loops]
        yield
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if service.feed:
            await service.feed.close()
        await service.view.close()

    schema = Router(path="/schema", route_handlers=[], opt={"scopes": PUBLIC})
    app = Litestar(
        handlers,
        lifespan=[lifespan],
        openapi_config=openapi_config(schema) if service.settings.docs else None,
        exception_handlers={HTTPException: _http_error, Exception: _unexpected},
        logging_config=None,
        debug=False,
    )
    _require_scopes(app)
    return app


def handler(service: Service, route: Route) -> HTTPRouteHandler:
    """One route of the table as Litestar has it; what it does stays a plain function."""

    async def endpoint(request: Request) -> ASGIResponse:
        call = Call(request.scope, request.receive, request.path_params, service.settings)
        answer = await respond(service, route, call)
        if answer.stream is not None:
            return ASGIStreamingResponse(
                iterator=answer.stream, status_code=answer.status, headers=answer.headers, media_type=answer.media_type
            )
        media_type = answer.media_type.removesuffix(_CHARSET)
        return ASGIResponse(body=answer.body, status_code=answer.status, headers=answer.headers, media_type=media_type)

    return HTTPRouteHandler(
        route.path,
        http_method=route.method,
        status_code=200 if route.status == 204 else route.status,  # Litestar wants to make empty answers itself
        name=route.name,
        operation_id=route.name,
        opt={"scopes": route.scopes},
        summary=route.summary,
        description=route.endpoint.__doc__,
        tags=[route.path.split("/")[2 if route.path.startswith("/v1") else 1]],
        responses=responses(route),
        operation_class=operation_class(route),
        include_in_schema=route.documented,
    )(endpoint)


def _require_scopes(app: Litestar) -> None:
    """Default deny: a handler that nobody thought about fails the start."""
    for route in app.routes:
        for each in getattr(route, "route_handlers", [getattr(route, "route_handler", None)]):
            if getattr(each, "http_methods", None) == {"OPTIONS"}:  # Litestar's own: it names the methods, no more
                continue
            if "scopes" not in each.opt:
                raise ImproperlyConfiguredException(f"{route.path} declares no scopes")


def _http_error(request: Request, error: HTTPException) -> Response:
    """What Litestar refuses before a route is reached."""
    if error.status_code == 404:
        problem = Problem(NOT_FOUND, "There is no such route.")
    elif isinstance(error, MethodNotAllowedException):
        problem = Problem(METHOD_NOT_ALLOWED, headers=dict(error.headers or {}))
    elif error.status_code < 500:
        problem = Problem(INVALID, str(error.detail))
    else:
        return _unexpected(request, error)
    return _response(request, problem)


def _unexpected(request: Request, error: Exception) -> Response:
    log.error("a request failed outside its route", exc_info=error, request_id=_request_id(request))
    return _response(request, Problem(INTERNAL))


def _response(request: Request, problem: Problem) -> Response:
    answer = problem_answer(problem, _request_id(request))
    return Response(answer.body, status_code=answer.status, headers=answer.headers, media_type=answer.media_type)


def _request_id(request: Request) -> str:
    return request.scope["state"]["request_id"]
