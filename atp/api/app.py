"""App: the routes on Litestar, behind one door that every request and every answer passes."""

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any

import structlog
from litestar import Litestar, Request, Response, Router
from litestar.exceptions import HTTPException, ImproperlyConfiguredException, MethodNotAllowedException
from litestar.handlers import HTTPRouteHandler
from litestar.response.base import ASGIResponse

from atp.api.answers import problem_of
from atp.api.call import Answer, Call, ClientGone, given_request_id
from atp.api.documents import openapi_config, operation_class, responses
from atp.api.identity import PUBLIC
from atp.api.problems import INTERNAL, INVALID, MEDIA_TYPE, METHOD_NOT_ALLOWED, NOT_FOUND, Problem
from atp.api.routes import ROUTES, Route
from atp.api.service import Service
from atp.api.settings import ApiSettings
from atp.api.stopping import AsgiApp
from atp.journal import Journal
from atp.ledger import Ledger, LedgerError
from atp.telemetry import PROBLEMS, REQUEST_SECONDS, REQUESTS_ACTIVE, series

log = structlog.get_logger("atp.api")

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]

#: On every answer; a route's own header of the same name wins.
_SECURITY_HEADERS = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
)


def create_app(ledger: Ledger, journal: Journal | None, settings: ApiSettings) -> AsgiApp:
    """The HTTP API over an open ledger. ``journal`` None says that PostgreSQL is away.

    Raises ImproperlyConfiguredException if a route has no declared scopes.
    """
    service = Service(ledger, journal, settings)
    return front_door(litestar_app(service, [handler(service, route) for route in ROUTES]))


def litestar_app(service: Service, handlers: list[HTTPRouteHandler]) -> Litestar:
    """Routing, the document, and a problem answer for whatever is raised on the way."""

    @contextlib.asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncIterator[None]:
        with contextlib.suppress(LedgerError):  # start all the same: /health/ready says so, and the loop goes on trying
            await service.clients.run_once()
        task = asyncio.create_task(service.clients.run())
        yield
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

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
        return ASGIResponse(
            body=answer.body, status_code=answer.status, headers=answer.headers, media_type=answer.media_type
        )

    return HTTPRouteHandler(
        route.path,
        http_method=route.method,
        status_code=route.status,
        name=route.name,
        operation_id=route.name,
        opt={"scopes": route.scopes},
        summary=route.summary,
        description=route.endpoint.__doc__,
        tags=[route.path.split("/")[2 if route.path.startswith("/v1") else 1]],
        responses=responses(route),
        operation_class=operation_class(route),
        include_in_schema=not route.path.startswith("/docs"),
    )(endpoint)


async def respond(service: Service, route: Route, call: Call) -> Answer:
    """The answer to one call of a known route, whatever happens; needs nothing of the framework."""
    try:
        if route.scopes is not PUBLIC:
            call.principal = await service.clients.authenticate(call.headers)
            call.principal.require(route.scopes)
        return await route.endpoint(service, call)
    except ClientGone:
        return Answer(400)  # nobody reads it
    except Exception as error:
        return problem_answer(problem_of(error, call.request_id), call.request_id)


def problem_answer(problem: Problem, request_id: str) -> Answer:
    """A problem as an answer."""
    series(PROBLEMS, problem.kind.code).inc()
    return Answer(problem.kind.status, problem.body(request_id), problem.all_headers(), MEDIA_TYPE)


def front_door(app: AsgiApp) -> AsgiApp:
    """Request ids, security headers and metrics around ``app``, and the path as it was sent.

    Litestar splits the path at slashes, so it gets the raw one: ``%2F`` inside a sku stays inside it (R39).
    """

    async def door(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await app(scope, receive, send)
        started = time.perf_counter()
        status = 500
        request_id = given_request_id(dict(scope["headers"])) or secrets.token_hex(16)
        scope = {**scope, "path": scope["raw_path"].decode("ascii", "replace")}
        scope["state"] = {**scope.get("state", {}), "request_id": request_id}

        async def send_signed(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = list(message["headers"])
                names = {name for name, _ in headers}
                headers += [header for header in _SECURITY_HEADERS if header[0] not in names]
                headers.append((b"x-request-id", request_id.encode()))
                message = {**message, "headers": headers}
            await send(message)

        REQUESTS_ACTIVE.inc()
        try:
            await app(scope, receive, send_signed)
        finally:
            REQUESTS_ACTIVE.dec()
            route = scope.get("path_template") or "unmatched"
            method = scope["method"] if route != "unmatched" else "any"
            series(REQUEST_SECONDS, method, route, str(status)).observe(time.perf_counter() - started)

    return door


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
