"""Routes: the whole API in one table. A route without scopes or PUBLIC cannot be written (default deny)."""

from collections.abc import Awaitable, Callable

from litestar.enums import HttpMethod
from msgspec import Struct

from atp.api import availability, operations, policies, requests, reservations
from atp.api.call import Answer, Call
from atp.api.identity import PUBLIC
from atp.api.service import Service
from atp.domain.views import ReservationView

Endpoint = Callable[[Service, Call], Awaitable[Answer]]

READ, RESERVE, ADMIN = ("availability:read",), ("reservations:write",), ("admin",)

GET, POST, PUT = HttpMethod.GET, HttpMethod.POST, HttpMethod.PUT


class Route(Struct, frozen=True):
    """One route: who may call it, what answers, and what the document says of it."""

    method: HttpMethod
    path: str
    scopes: tuple[str, ...]  # any of them; PUBLIC for everybody
    endpoint: Endpoint
    name: str  # the operationId: what generated clients call it
    summary: str
    answer: type | None = None  # of the success answer
    body: type | None = None
    body_required: bool = True
    status: int = 200
    keyed: bool = False  # needs an Idempotency-Key
    query: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    problems: tuple[int, ...] = ()  # statuses beside those that every route may have


_IF = ("If-Match", "If-None-Match")

# fmt: off
ROUTES = (
    Route(POST, "/v1/reservations", RESERVE, reservations.reserve, "reserve", "Reserve units",
          ReservationView, requests.ReserveBody, status=201, keyed=True, problems=(409, 422)),
    Route(GET, "/v1/reservations/{id:str}", RESERVE, reservations.get_reservation, "get_reservation",
          "One reservation", ReservationView, problems=(404,)),
    Route(POST, "/v1/reservations/{id:str}/confirm", RESERVE, reservations.confirm, "confirm", "Confirm held units",
          ReservationView, requests.ConfirmBody, body_required=False, keyed=True, problems=(404, 409, 422)),
    Route(POST, "/v1/reservations/{id:str}/release", RESERVE, reservations.release, "release", "Release units",
          ReservationView, requests.ReleaseBody, body_required=False, keyed=True, problems=(404, 409, 422)),
    Route(POST, "/v1/reservations/{id:str}/extend", RESERVE, reservations.extend, "extend", "Extend a hold",
          ReservationView, requests.ExtendBody, keyed=True, problems=(404, 409, 422)),

    Route(GET, "/v1/availability/{sku:str}", READ, availability.get_availability, "get_availability",
          "Availability of one sku", availability.AvailabilityView, query=("channel", "location"),
          headers=("If-None-Match",)),
    Route(POST, "/v1/availability/query", READ, availability.query_availability, "query_availability",
          "Availability of many skus", availability.AvailabilityList, requests.AvailabilityBody),

    Route(GET, "/v1/locations", ADMIN, policies.LOCATIONS.list, "list_locations", "All locations",
          policies.LocationList),
    Route(GET, "/v1/locations/{id:str}", ADMIN, policies.LOCATIONS.get, "get_location", "One location",
          policies.LocationView, problems=(404,)),
    Route(PUT, "/v1/locations/{id:str}", ADMIN, policies.LOCATIONS.put, "put_location", "Put a location",
          policies.LocationView, policies.LocationBody, headers=_IF, problems=(412,)),
    Route(GET, "/v1/items/{sku:str}", ADMIN, policies.ITEMS.get, "get_item", "One item",
          policies.ItemView, problems=(404,)),
    Route(PUT, "/v1/items/{sku:str}", ADMIN, policies.ITEMS.put, "put_item", "Put an item",
          policies.ItemView, policies.ItemBody, headers=_IF, problems=(412,)),
    Route(GET, "/v1/sources", ADMIN, policies.SOURCES.list, "list_sources", "All sources", policies.SourceList),
    Route(GET, "/v1/sources/{id:str}", ADMIN, policies.SOURCES.get, "get_source", "One source",
          policies.SourceView, problems=(404,)),
    Route(PUT, "/v1/sources/{id:str}", ADMIN, policies.SOURCES.put, "put_source", "Put a source",
          policies.SourceView, policies.SourceBody, headers=_IF, problems=(412,)),

    Route(GET, "/health/live", PUBLIC, operations.live, "health_live", "Is the process alive"),
    Route(GET, "/health/ready", PUBLIC, operations.ready, "health_ready", "May requests be sent here"),
    Route(GET, "/health/startup", PUBLIC, operations.startup, "health_startup", "Is start-up complete"),
    Route(GET, "/metrics", PUBLIC, operations.metrics, "metrics", "Metrics for Prometheus"),
    Route(GET, "/docs", PUBLIC, operations.docs, "docs", "Documentation for people"),
    Route(GET, "/docs/rapidoc-min.js", PUBLIC, operations.docs_script, "docs_script", "The documentation's viewer"),
)
# fmt: on
