"""Door: what every request and every answer passes, and the short way of the hot routes past the framework.

Litestar routes and documents; its handler path costs several times what the rest of a request does (research/spikes.md
§7). Reserve, the changes of a reservation and availability are therefore answered here, by the same ``respond`` that
Litestar's handlers call. A test holds the two ways equal.
"""

import time
from collections.abc import AsyncGenerator, Awaitable, Callable, MutableMapping
from typing import Any

from atp.api.access.identity import PUBLIC
from atp.api.access.quotas import marked
from atp.api.admission.classes import CLASSES, Class, Matcher
from atp.api.admission.entry import DEADLINE, queue
from atp.api.admission.refusals import refuse
from atp.api.call import Answer, Call, ClientGone, given_request_id, joined
from atp.api.heads import SECURITY_HEADERS, Head, allowing, answered_as_get, bodiless, request_ids, signed
from atp.api.prepared import Counter
from atp.api.problems import MEDIA_TYPE, Problem
from atp.api.resources.answers import problem_of
from atp.api.routes import ROUTES, Route
from atp.api.service import Service
from atp.api.stopping import closing
from atp.api.streaming import send_stream
from atp.ledger import OutcomeUnknown
from atp.telemetry import PROBLEMS, REQUEST_SECONDS, REQUESTS_ACTIVE, series

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
AsgiApp = Callable[[Any, Any, Any], Awaitable[None]]  # frameworks and servers each name these types themselves

#: Of the answers that are made here, mostly one.
_TYPES = {text: text.encode() for text in ("application/json", MEDIA_TYPE)}

_RESERVATIONS, _AVAILABILITY = b"/v1/reservations", b"/v1/availability/"
_BY_NAME = {route.name: route for route in ROUTES}
_RESERVE, _STOCK = _BY_NAME["reserve"], _BY_NAME["get_availability"]
_MANY, _QUERY = _BY_NAME["query_availability"], b"query"
_FEED = {b"changes": _BY_NAME["list_changes"], b"stream": _BY_NAME["stream_changes"]}
_CHANGES = {
    action.encode(): _BY_NAME[action]
    for action in ("confirm", "release", "extend", "fulfil", "acknowledge", "transfer")
}


def front_door(service: Service | None, app: AsgiApp) -> AsgiApp:
    """Request ids, security headers and metrics around ``app``; hot routes are answered without it.

    ``service`` None sends everything to ``app``. Litestar splits the path at slashes, so it gets the raw one: ``%2F``
    inside a sku stays inside it (R39).
    """

    active = 0
    REQUESTS_ACTIVE.set_function(lambda: active)
    classes = Matcher((route.method, route.template, route.name) for route in ROUTES)
    gate = service.control.gate if service else None
    counter = Counter(service, _STOCK) if service else None

    async def door(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal active
        if scope["type"] != "http":
            return await app(scope, receive, send)
        started = time.perf_counter()
        headers = dict(scope["headers"])
        if len(headers) != len(scope["headers"]):
            headers = joined(scope)
        found = counter.find(scope, headers) if counter and scope["method"] == "GET" else None
        if counter and found and counter.gate.enter(counter.cls):
            return await counter.answer(found, headers, send, started)
        state = scope.setdefault("state", {})
        state["request_id"] = request_id = given_request_id(headers) or next(request_ids)
        asked = method = scope["method"]
        path = scope["raw_path"]
        if answered_as_get(method, path):
            method = scope["method"] = "GET"
            send = bodiless(send)
        hot = hot_route(method, path) if service else None
        template, status, begun, cls = hot[0].template if hot else "unmatched", 500, 0.0, Class.P3
        active += 1
        try:
            if gate and service:
                cls = CLASSES[hot[0].name] if hot else classes.match(method, path)
                if DEADLINE in headers or not gate.enter(cls):
                    cls = service.unresolved.class_of(cls, headers)
                    if kind := await queue(gate, cls, service.clients, headers, state):
                        common = closing(SECURITY_HEADERS, state)
                        status = await refuse(kind, send, common, request_id, service.control.comeback.after_s)
                        if cls is Class.P1 and service.clients.known(headers):
                            service.rooms.count(status)  # strangers may not slow the waiting rooms down
                        return None
                begun = time.perf_counter()
            if service and hot:
                route, params = hot
                status = await _answer_hot(
                    service, route, Call(scope, receive, params, service.settings, headers), send
                )
            else:
                template, status = await _through(app, scope, receive, send)
        finally:
            active -= 1
            ended = time.perf_counter()
            if gate and begun:
                gate.leave(cls, ended - begun if status < 400 or status == 409 else 0.0)
            counted = asked if template != "unmatched" else "any"
            REQUEST_SECONDS.of(counted, template, status).observe(ended - started)

    return door


def hot_route(method: str, path: bytes) -> tuple[Route, dict[str, str]] | None:
    """The hot route of a raw path and its parameters, still encoded; None for all that Litestar answers."""
    if method == "POST" and path.startswith(_RESERVATIONS):
        if len(path) == len(_RESERVATIONS):
            return _RESERVE, {}
        id, _, action = path[len(_RESERVATIONS) + 1 :].partition(b"/")
        if id and path[len(_RESERVATIONS)] == 47 and (route := _CHANGES.get(action)):
            return route, {"id": id.decode("ascii", "replace")}
    elif path.startswith(_AVAILABILITY):
        sku = path[len(_AVAILABILITY) :]
        if sku == _QUERY:
            return (_MANY, {}) if method == "POST" else None
        if method != "GET":
            return None
        if sku in _FEED:
            return _FEED[sku], {}
        if sku and b"/" not in sku:
            return _STOCK, {"sku": sku.decode("ascii", "replace")}
    return None


async def _answer_hot(service: Service, route: Route, call: Call, send: Send) -> int:
    answer = await respond(service, route, call)
    if answer.stream is not None:
        return await _answer_stream(answer, answer.stream, call, send)
    headers: Head = []
    if answer.status != 304:  # it has no body, and the length would be that of the 200 (RFC 9110 §8.6)
        headers = [
            (b"content-length", b"%d" % len(answer.body)),
            (b"content-type", _TYPES.get(answer.media_type) or answer.media_type.encode()),
        ]
    if answer.headers:
        headers += [(name.encode(), value.encode("latin-1")) for name, value in answer.headers.items()]
    head = signed(headers, answer.headers, call.state)
    await send({"type": "http.response.start", "status": answer.status, "headers": head})
    await send({"type": "http.response.body", "body": answer.body})
    return answer.status


async def _answer_stream(answer: Answer, parts: AsyncGenerator[bytes], call: Call, send: Send) -> int:
    headers = [(name.encode(), value.encode("latin-1")) for name, value in answer.headers.items()]
    headers.append((b"content-type", answer.media_type.encode()))
    head = signed(headers, answer.headers, call.state)
    await send({"type": "http.response.start", "status": answer.status, "headers": head})
    await send_stream(call.receive, send, parts)
    return answer.status


async def _through(app: AsgiApp, scope: Scope, receive: Receive, send: Send) -> tuple[str, int]:
    """Let the framework answer; returns the template of the route it found, and the status."""
    status = 500
    scope["path"] = scope["raw_path"].decode("ascii", "replace")

    async def send_signed(message: Any) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
            headers = list(message["headers"])
            names = {name.decode("latin-1") for name, _ in headers}
            if "allow" in names:
                headers = allowing(headers, scope["raw_path"])
            message = {**message, "headers": signed(headers, names, scope["state"])}
        await send(message)

    await app(scope, receive, send_signed)
    return scope.get("path_template") or "unmatched", status


async def respond(service: Service, route: Route, call: Call) -> Answer:
    """The answer to one call of a known route, whatever happens; needs nothing of the framework."""
    try:
        if route.scopes is not PUBLIC:
            caller = service.clients.met(call.headers) or await service.clients.authenticate(call.headers)
            caller.require(route.scopes)
            call.principal = caller
            if caller.quotas and (meter := service.quotas.meter(caller, route.name)):
                call.meter = meter
                meter.take()
        answer = await route.endpoint(service, call)
    except ClientGone:
        return Answer(400)  # nobody reads it
    except Exception as error:
        answer = problem_answer(problem_of(error, call.request_id), call.request_id)
        if isinstance(error, OutcomeUnknown) and route.name == "reserve":
            service.unresolved.note(call.headers)
    if route.name == "reserve":
        service.rooms.count(answer.status)
    return marked(answer, call.meter) if call.meter else answer


def problem_answer(problem: Problem, request_id: str) -> Answer:
    """A problem as an answer."""
    series(PROBLEMS, problem.kind.code).inc()
    return Answer(problem.kind.status, problem.body(request_id), problem.all_headers(), MEDIA_TYPE)
