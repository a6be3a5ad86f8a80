"""OpenAPI: Litestar documents routes and answers; what it cannot see is added from the route table.

Bodies are read by ourselves, so that their size is capped while they arrive, and Litestar therefore does not know
their types; the same holds for headers and the query.
"""

from dataclasses import dataclass
from typing import Any

from litestar import Request
from litestar.openapi import OpenAPIConfig, ResponseSpec
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import (
    Components,
    OpenAPIMediaType,
    OpenAPIType,
    Operation,
    Parameter,
    Reference,
    RequestBody,
    Schema,
    SecurityScheme,
)
from litestar.router import Router
from msgspec import json

from atp import __version__
from atp.api.access.identity import PUBLIC
from atp.api.examples import ANSWERS, BODIES, QUOTE
from atp.api.problems import MEDIA_TYPE, ProblemView
from atp.api.routes import ROUTES, Route

_REF = "#/components/schemas/{name}"

_HEADERS = {
    "Idempotency-Key": "A key of your own for this request; repeat it with every retry. A repeat has no second "
    "effect. A dry run needs none.",
    "ATP-Ticket": "A ticket of the campaign's waiting room, if it has one.",
    "X-Request-Timeout-Ms": "How long you still wait. What could not be answered in time is refused before it has any "
    "effect; what began and took longer is `outcome-unknown`.",
    "If-Match": "The version the object must have, as its ETag says; else 412.",
    "Last-Event-ID": "The id of the last event that arrived; goes before `after`.",
    "If-None-Match": "An ETag you have; `*` on PUT creates only.",
}

#: What a parameter means on every route that has it; the routes' own texts say the rest.
_QUERY = {
    "after": "Go on behind this place: the cursor, or the last sku, of the page before.",
    "page_token": "Go on behind an earlier page: its `next_page_token`.",
    "limit": "At most so many.",
    "wait": "While there is nothing new, wait so many seconds.",
    "order_ref": "Of this order.",
    "sku": "With units of this sku.",
    "state": "In this state.",
    "kind": "Of this kind.",
    "client": "What this client did.",
    "about": "What happened to this: a reservation's id, a sku, or kind:id of a policy.",
    "source": "From this source.",
    "reason": "For this reason.",
    "channel": "As this channel may sell; without it `default`, and for a feed the channel the client is bound to.",
    "campaign": "Of what is set aside for this campaign.",
    "location": "At this location only.",
    "location_group": "At the locations of this group only.",
    "explain": "`true` adds the terms that make up the number.",
    "date": "What can be promised for this day, as 2026-12-01.",
    "min_position": "Not older than this position, as an earlier answer carries it.",
}

_PROBLEMS = {
    400: "The request is not valid.",
    401: "No valid credentials, or a signature that proves nothing.",
    403: "The credentials lack a scope, or the channel is not allowed.",
    404: "Not found.",
    409: "Refused by the state of what it is about.",
    410: "Gone: begin anew.",
    412: "The object has another version.",
    413: "The body is too large.",
    415: "The body is not application/json in UTF-8, or it is compressed.",
    422: "The Idempotency-Key was used with another request.",
    429: "The client's quota is used up; see RateLimit, and Retry-After.",
    503: "Our capacity or state; see `type`, and Retry-After.",
}


#: Headers of answers, beside those that every answer has.
_SENT = {
    "ETag": "The version of what is answered: for If-None-Match, or for If-Match of the next PUT.",
    "Idempotency-Replayed": "`true` where this repeats an earlier answer, a refusal too; else it is not there.",
    "Location": "Where to ask how far it is.",
    "Retry-After": "Seconds to wait before the next attempt.",
}


def openapi_config(router: Router) -> OpenAPIConfig:
    """The document, served under ``router``."""
    return OpenAPIConfig(
        title="atp",
        version=__version__,
        description="Available-to-promise and reservations. Errors are RFC 9457 problems. HEAD is answered "
        "wherever GET is, but for the stream.",
        components=Components(
            security_schemes={
                "key": SecurityScheme(type="http", scheme="bearer", description="An API key.", bearer_format="atp key")
            },
        ),
        render_plugins=[_WithBodies(path="/openapi.json")],
        openapi_router=router,
    )


class _WithBodies(JsonRenderPlugin):
    """Litestar keeps only the schemas it made itself, and no null in an example, so both come in at the end."""

    def render(self, request: Request, openapi_schema: dict[str, Any]) -> bytes:
        bodies = {route.body for route in ROUTES if route.body}
        _, schemas = json.schema_components(bodies, ref_template=_REF)
        components = openapi_schema["components"]
        components |= {"schemas": schemas | components["schemas"]}
        for route in ROUTES:
            if route.documented:
                operation = openapi_schema["paths"][route.template][route.method.value.lower()]
                _show_examples(route, operation)
                _show_headers(route, operation["responses"])
        ours = {route.template for route in ROUTES}  # not those under which Litestar serves this document
        paths = {path: methods for path, methods in openapi_schema["paths"].items() if path in ours}
        return super().render(request, openapi_schema | {"components": components, "paths": paths})


def _show_examples(route: Route, operation: dict[str, Any]) -> None:
    if route.status == 204:
        operation["responses"].pop("200", None)  # what Litestar supposes; it keeps the document between two calls
    if route.name in BODIES:
        operation["requestBody"]["content"]["application/json"]["examples"] = _example(BODIES[route.name])
    if route.name in ANSWERS:
        answer = operation["responses"][str(route.status)]["content"][route.media_type]
        answer["examples"] = _example(ANSWERS[route.name])
    if route.dry_answer:
        operation["responses"]["200"]["content"]["application/json"]["examples"] = _example(QUOTE)


def _show_headers(route: Route, responses: dict[str, Any]) -> None:
    sent = {str(status): ("Retry-After",) for status in (429, 503) if status in _problems(route)}
    sent |= {str(status): route.sends for status in (route.status, *dict(route.others)) if route.sends}
    for status, names in sent.items():
        text = {"type": "string"}
        responses[status]["headers"] = {name: {"schema": text, "description": _SENT[name]} for name in names}


def _example(value: Any) -> dict[str, dict[str, Any]]:
    """Under a name of its own: of a bare `example` the viewer shows no object, and fails at a null in it."""
    return {"example": {"value": value}}


def _problems(route: Route) -> set[int]:
    statuses = set(route.problems)
    if route.scopes is not PUBLIC:
        statuses |= {400, 401, 403, 429, 503}
    if route.body:
        statuses |= {413, 415}
    return statuses


def responses(route: Route) -> dict[int, ResponseSpec]:
    """Success and problems of a route."""
    problems = {
        status: ResponseSpec(ProblemView, generate_examples=False, description=_PROBLEMS[status], media_type=MEDIA_TYPE)
        for status in sorted(_problems(route))
    }
    answers = {
        route.status: ResponseSpec(
            route.answer, generate_examples=False, description=route.summary, media_type=route.media_type
        )
    }
    if route.dry_answer:
        answers[200] = ResponseSpec(route.dry_answer, generate_examples=False, description="Of a dry run.")
    for status, meaning in route.others:
        answers[status] = ResponseSpec(None, generate_examples=False, description=meaning)
    return answers | problems


def operation_class(route: Route) -> type[Operation]:
    """Litestar's Operation with the body, headers, query and scopes of ``route``."""

    @dataclass
    class Documented(Operation):
        def __post_init__(self) -> None:
            self.parameters = [*(self.parameters or []), *_parameters(route)]
            if route.scopes is not PUBLIC:
                self.security = [{"key": list(route.scopes)}]
            if route.body:
                body: Any = Reference(_REF.format(name=route.body.__name__))
                if route.body_list:
                    body = Schema(type=OpenAPIType.ARRAY, items=body, min_items=1, max_items=route.body_list)
                content = OpenAPIMediaType(body)
                self.request_body = RequestBody(content={"application/json": content}, required=route.body_required)

    return Documented


def _parameters(route: Route) -> list[Any]:
    text = Schema(type=OpenAPIType.STRING)
    headers = ("Idempotency-Key", "X-Request-Timeout-Ms", *route.headers) if route.keyed else route.headers
    return [
        Parameter(name, "header", schema=text, required=name == "Idempotency-Key", description=_HEADERS[name])
        for name in headers
    ] + [Parameter(name, "query", schema=text, required=False, description=_QUERY[name]) for name in route.query]
