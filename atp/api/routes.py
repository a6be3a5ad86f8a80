"""Routes: the whole API in one table. A route without scopes or PUBLIC cannot be written (default deny)."""

from collections.abc import Awaitable, Callable

from litestar.enums import HttpMethod
from msgspec import Struct

from atp.api.access.identity import PUBLIC
from atp.api.call import Answer, Call
from atp.api.following.feed import FeedView
from atp.api.resources import (
    authority,
    availability,
    batches,
    change_bodies,
    changes,
    checks,
    clients,
    customers,
    exceptions,
    feeds,
    history,
    items,
    letters,
    operations,
    policies,
    raw,
    rebuilds,
    requests,
    reservations,
    selling,
    stock,
    ticketing,
)
from atp.api.service import Service
from atp.deadletters import WholeLetterView
from atp.domain.views import QuoteView, ReservationView

Endpoint = Callable[[Service, Call], Awaitable[Answer]]

READ, RESERVE, FULFIL, ADMIN = ("availability:read",), ("reservations:write",), ("reservations:fulfil",), ("admin",)
STOCK = ("stock:write",)
FIND, LOOK = ("reservations:write", "admin"), ("stock:write", "admin")

GET, POST, PUT, DELETE = HttpMethod.GET, HttpMethod.POST, HttpMethod.PUT, HttpMethod.DELETE


#: Answers whose parts say for themselves whether they repeat an earlier one.
_IN_PARTS = (batches.BatchView, stock.EventResults)


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
    body_list: int = 0  # the body is an array of so many of them at most
    body_required: bool = True
    status: int = 200
    media_type: str = "application/json"  # of the success answer
    dry_answer: type | None = None  # of a dry run, with status 200
    keyed: bool = False  # needs an Idempotency-Key
    query: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    documented: bool = True  # in the OpenAPI document
    problems: tuple[int, ...] = ()  # statuses beside those that every route may have
    others: tuple[tuple[int, str], ...] = ()  # further statuses that are no problems, and what they mean

    @property
    def sends(self) -> tuple[str, ...]:
        """Headers of its own on success."""
        fields: tuple[str, ...] = getattr(self.answer, "__struct_fields__", ())
        tagged = "If-None-Match" in self.headers or "version" in fields or "policy_version" in fields
        replayed = self.keyed and self.answer not in _IN_PARTS
        located = self.answer is checks.CheckView
        return ("ETag",) * tagged + ("Idempotency-Replayed",) * replayed + ("Location",) * located

    @property
    def template(self) -> str:
        """The path as metrics and people name it."""
        return self.path.replace(":str", "")


_CHANGE = (404, 409, 422)
_NOT_YET = ((503, "No, and why."),)
_IF = ("If-Match", "If-None-Match")

# fmt: off
ROUTES = (
    Route(POST, "/v1/reservations", RESERVE, reservations.reserve, "reserve", "Reserve units",
          ReservationView, requests.ReserveBody, status=201, dry_answer=QuoteView, keyed=True, headers=("ATP-Ticket",),
          problems=(404, 409, 422)),
    Route(POST, "/v1/reservations/batch", RESERVE, batches.reserve_batch, "reserve_batch",
          "Make many independent reservations", batches.BatchView, requests.BatchBody, keyed=True,
          headers=("ATP-Ticket",)),
    Route(GET, "/v1/reservations/{id:str}", RESERVE, reservations.get_reservation, "get_reservation",
          "One reservation", ReservationView, problems=(404, 409)),
    Route(GET, "/v1/reservations", FIND, history.search, "search_reservations", "Find reservations",
          history.ReservationList, query=("order_ref", "sku", "state", "page_token", "limit")),
    Route(GET, "/v1/reservations/{id:str}/history", FIND, history.reservation_history, "get_reservation_history",
          "What happened to a reservation", history.EntryList, query=("page_token", "limit"), problems=(404,)),
    Route(POST, "/v1/reservations/{id:str}/confirm", RESERVE, changes.confirm, "confirm", "Confirm held units",
          ReservationView, change_bodies.ConfirmBody, body_required=False, keyed=True, problems=_CHANGE),
    Route(POST, "/v1/reservations/{id:str}/release", RESERVE, changes.release, "release", "Release units",
          ReservationView, change_bodies.ReleaseBody, body_required=False, keyed=True, problems=_CHANGE),
    Route(POST, "/v1/reservations/{id:str}/extend", RESERVE, changes.extend, "extend", "Extend a hold",
          ReservationView, change_bodies.ExtendBody, keyed=True, problems=_CHANGE),
    Route(POST, "/v1/reservations/{id:str}/fulfil", FULFIL, changes.fulfil, "fulfil", "Fulfil committed units",
          ReservationView, change_bodies.FulfilBody, body_required=False, keyed=True, problems=_CHANGE),
    Route(POST, "/v1/reservations/{id:str}/acknowledge", FULFIL, changes.acknowledge, "acknowledge",
          "Acknowledge committed units", ReservationView, change_bodies.AcknowledgeBody, body_required=False,
          keyed=True, problems=_CHANGE),
    Route(POST, "/v1/reservations/{id:str}/transfer", FULFIL, changes.transfer, "transfer",
          "Transfer units to another location", ReservationView, change_bodies.TransferBody, keyed=True,
          problems=_CHANGE),

    Route(GET, "/v1/availability/{sku:str}", READ, availability.get_availability, "get_availability",
          "Availability of one sku", availability.AvailabilityView,
          query=("channel", "campaign", "location", "location_group", "explain", "date", "min_position"),
          headers=("If-None-Match",), others=((304, "You have it already."),)),
    Route(POST, "/v1/availability/query", READ, availability.query_availability, "query_availability",
          "Availability of many skus", availability.AvailabilityList, requests.AvailabilityBody),
    Route(GET, "/v1/availability/changes", READ, feeds.list_changes, "list_changes", "Follow availability",
          FeedView, query=("after", "limit", "wait", "channel", "campaign"), problems=(410,)),
    Route(GET, "/v1/availability/stream", READ, feeds.stream_changes, "stream_changes",
          "Follow availability as server-sent events", FeedView, media_type="text/event-stream",
          query=("after", "limit", "channel", "campaign"), headers=("Last-Event-ID",), problems=(410,)),

    Route(GET, "/v1/locations", ADMIN, policies.LOCATIONS.list, "list_locations", "All locations",
          policies.LocationList),
    Route(GET, "/v1/locations/{id:str}", ADMIN, policies.LOCATIONS.get, "get_location", "One location",
          policies.LocationView, problems=(404,)),
    Route(PUT, "/v1/locations/{id:str}", ADMIN, policies.LOCATIONS.put, "put_location", "Put a location",
          policies.LocationView, policies.LocationBody, headers=_IF, problems=(412,)),
    Route(DELETE, "/v1/locations/{id:str}", ADMIN, policies.LOCATIONS.delete, "delete_location", "Delete a location",
          status=204, headers=("If-Match",), problems=(404, 409, 412)),
    Route(GET, "/v1/items", ADMIN, items.list_items, "list_items", "All items", items.ItemList,
          query=("after", "limit")),
    Route(GET, "/v1/items/{sku:str}", ADMIN, policies.ITEMS.get, "get_item", "One item",
          policies.ItemView, problems=(404,)),
    Route(PUT, "/v1/items/{sku:str}", ADMIN, policies.ITEMS.put, "put_item", "Put an item",
          policies.ItemView, policies.ItemBody, headers=_IF, problems=(412,)),
    Route(DELETE, "/v1/items/{sku:str}", ADMIN, policies.ITEMS.delete, "delete_item", "Delete an item's rules",
          status=204, headers=("If-Match",), problems=(404, 412)),
    Route(GET, "/v1/sources", ADMIN, policies.SOURCES.list, "list_sources", "All sources", policies.SourceList),
    Route(GET, "/v1/sources/{id:str}", ADMIN, policies.SOURCES.get, "get_source", "One source",
          policies.SourceView, problems=(404,)),
    Route(PUT, "/v1/sources/{id:str}", ADMIN, policies.SOURCES.put, "put_source", "Put a source",
          policies.SourceView, policies.SourceBody, headers=_IF, problems=(412,)),
    Route(DELETE, "/v1/sources/{id:str}", ADMIN, policies.SOURCES.delete, "delete_source", "Delete a source",
          status=204, headers=("If-Match",), problems=(404, 409, 412)),

    Route(POST, "/v1/locations/{id:str}/authority", ADMIN, authority.move_authority, "move_authority",
          "Cut a location over to another source", policies.LocationView, authority.AuthorityBody, keyed=True,
          headers=("If-Match",), problems=(404, 412, 422)),
    Route(POST, "/v1/sources/{id:str}/restart", ADMIN, authority.restart_source, "restart_source",
          "Let a source begin anew", authority.RestartView, keyed=True, problems=(404, 409)),

    Route(PUT, "/v1/items/{sku:str}/channels/{channel:str}", ADMIN, selling.SHARES.put, "put_item_channel",
          "Put a channel's share of an item", selling.ShareView, selling.ShareBody, headers=_IF, problems=(409, 412)),
    Route(DELETE, "/v1/items/{sku:str}/channels/{channel:str}", ADMIN, selling.SHARES.delete, "delete_item_channel",
          "Delete a channel's share of an item", status=204, headers=("If-Match",), problems=(404, 412)),
    Route(GET, "/v1/items/{sku:str}/channels/{channel:str}", ADMIN, selling.SHARES.get, "get_item_channel",
          "A channel's share of an item", selling.ShareView, problems=(404,)),
    Route(GET, "/v1/channels", ADMIN, selling.CHANNELS.list, "list_channels", "All channels", selling.ChannelList),
    Route(GET, "/v1/channels/{id:str}", ADMIN, selling.CHANNELS.get, "get_channel", "One channel",
          selling.ChannelView, problems=(404,)),
    Route(PUT, "/v1/channels/{id:str}", ADMIN, selling.CHANNELS.put, "put_channel", "Put a channel",
          selling.ChannelView, selling.ChannelBody, headers=_IF, problems=(412,)),
    Route(DELETE, "/v1/channels/{id:str}", ADMIN, selling.CHANNELS.delete, "delete_channel", "Delete a channel",
          status=204, headers=("If-Match",), problems=(404, 412)),
    Route(GET, "/v1/location-groups", ADMIN, selling.GROUPS.list, "list_location_groups", "All location groups",
          selling.LocationGroupList),
    Route(GET, "/v1/location-groups/{id:str}", ADMIN, selling.GROUPS.get, "get_location_group", "One location group",
          selling.LocationGroupView, problems=(404,)),
    Route(PUT, "/v1/location-groups/{id:str}", ADMIN, selling.GROUPS.put, "put_location_group",
          "Put a location group", selling.LocationGroupView, selling.LocationGroupBody, headers=_IF, problems=(412,)),
    Route(DELETE, "/v1/location-groups/{id:str}", ADMIN, selling.GROUPS.delete, "delete_location_group",
          "Delete a location group", status=204, headers=("If-Match",), problems=(404, 409, 412)),
    Route(GET, "/v1/campaigns", ADMIN, selling.CAMPAIGNS.list, "list_campaigns", "All campaigns",
          selling.CampaignList),
    Route(GET, "/v1/campaigns/{id:str}", ADMIN, selling.CAMPAIGNS.get, "get_campaign", "One campaign",
          selling.CampaignView, problems=(404,)),
    Route(PUT, "/v1/campaigns/{id:str}", ADMIN, selling.CAMPAIGNS.put, "put_campaign", "Put a campaign",
          selling.CampaignView, selling.CampaignBody, headers=_IF, problems=(409, 412)),
    Route(DELETE, "/v1/campaigns/{id:str}", ADMIN, selling.CAMPAIGNS.delete, "delete_campaign", "Delete a campaign",
          status=204, headers=("If-Match",), problems=(404, 409, 412)),

    Route(POST, "/v1/campaigns/{id:str}/tickets", RESERVE, ticketing.make_ticket, "make_ticket",
          "Take a place in a waiting room", ticketing.TicketView, ticketing.TicketBody, status=201,
          headers=("ATP-Ticket",), problems=(404, 409)),

    Route(POST, "/v1/checks", ADMIN, checks.request_check, "request_check", "Check the ledger", checks.CheckView,
          checks.CheckBody, body_required=False, status=202),
    Route(GET, "/v1/checks", ADMIN, checks.list_checks, "list_checks", "Checks", checks.CheckList),
    Route(GET, "/v1/checks/{id:str}", ADMIN, checks.get_check, "get_check", "One check", checks.WholeCheckView,
          problems=(404,)),

    Route(GET, "/v1/exceptions", ADMIN, exceptions.list_exceptions, "list_exceptions", "What to look at",
          exceptions.ExceptionList, query=("kind", "state", "page_token")),
    Route(GET, "/v1/exceptions/{id:str}", ADMIN, exceptions.get_exception, "get_exception", "One exception",
          exceptions.ExceptionView, problems=(404,)),
    Route(POST, "/v1/exceptions/{id:str}/resolve", ADMIN, exceptions.resolve, "resolve_exception",
          "Resolve an exception", exceptions.ExceptionView, exceptions.ResolveBody, problems=(404, 409)),

    Route(POST, "/v1/rebuilds", ADMIN, rebuilds.rebuild, "rebuild", "Make the ledger anew", rebuilds.RebuildView,
          rebuilds.RebuildBody, status=202),

    Route(POST, "/v1/stock/events", STOCK, stock.post_events, "post_stock_events", "Send stock events",
          stock.EventResults, stock.EventBody, body_list=stock.EVENTS_MAX, status=202, keyed=True),
    Route(POST, "/v1/stock/raw/{mapping:str}/{source:str}", PUBLIC, raw.post_raw, "post_raw_stock",
          "Send a vendor's message", raw.RawView, status=202, problems=(400, 401, 403, 404, 413, 415, 503)),
    Route(POST, "/v1/stock/adjust", STOCK, stock.adjust, "adjust_stock", "Correct a number by hand", stock.AdjustView,
          stock.AdjustBody, keyed=True, problems=(422,)),

    Route(GET, "/v1/stock/{sku:str}/entries", LOOK, history.stock_entries, "list_stock_entries",
          "What was told of a sku's stock", history.EntryList, query=("kind", "page_token", "limit")),
    Route(GET, "/v1/audit", ADMIN, history.audit, "audit", "Who changed what and why", history.EntryList,
          query=("client", "about", "kind", "page_token", "limit")),

    Route(GET, "/v1/dead-letters", ADMIN, letters.list_letters, "list_dead_letters", "Dead letters",
          letters.LetterList, query=("source", "reason", "page_token")),
    Route(POST, "/v1/dead-letters/replay", ADMIN, letters.replay_letters, "replay_dead_letters",
          "Send many dead letters again", letters.ManyView, letters.ManyBody),
    Route(POST, "/v1/dead-letters/discard", ADMIN, letters.discard_letters, "discard_dead_letters",
          "Throw many dead letters away", letters.ManyView, letters.ManyBody),
    Route(GET, "/v1/dead-letters/{id:str}", ADMIN, letters.get_letter, "get_dead_letter", "One dead letter",
          WholeLetterView, problems=(404,)),
    Route(POST, "/v1/dead-letters/{id:str}/replay", ADMIN, letters.replay_letter, "replay_dead_letter",
          "Send a dead letter again", letters.LetterDone, problems=(404, 409)),
    Route(POST, "/v1/dead-letters/{id:str}/discard", ADMIN, letters.discard_letter, "discard_dead_letter",
          "Throw a dead letter away", letters.LetterDone, problems=(404,)),

    Route(GET, "/v1/clients", ADMIN, clients.list_clients, "list_clients", "All clients", clients.ClientList),
    Route(POST, "/v1/clients", ADMIN, clients.create_client, "create_client", "Make a client", clients.ClientView,
          clients.NewClientBody, status=201, problems=(409,)),
    Route(GET, "/v1/clients/{id:str}", ADMIN, clients.get_client, "get_client", "One client", clients.ClientView,
          problems=(404,)),
    Route(PUT, "/v1/clients/{id:str}", ADMIN, clients.put_client, "put_client", "Put what a client may do",
          clients.ClientView, clients.ClientBody, headers=_IF, problems=(404, 412)),
    Route(DELETE, "/v1/clients/{id:str}", ADMIN, clients.delete_client, "delete_client", "Delete a client",
          status=204, headers=("If-Match",), problems=(404, 412)),
    Route(POST, "/v1/clients/{id:str}/keys", ADMIN, clients.create_key, "create_key", "Make a key",
          clients.NewKeyView, status=201, problems=(404, 409)),
    Route(DELETE, "/v1/clients/{id:str}/keys/{prefix:str}", ADMIN, clients.delete_key, "delete_key", "Revoke a key",
          status=204, problems=(404,)),

    Route(DELETE, "/v1/customers/{id:str}", ADMIN, customers.forget_customer, "forget_customer", "Forget a person",
          customers.ForgottenView),

    Route(GET, "/health/live", PUBLIC, operations.live, "health_live", "Is the process alive"),
    Route(GET, "/health/ready", PUBLIC, operations.ready, "health_ready", "May requests be sent here",
          others=_NOT_YET),
    Route(GET, "/health/startup", PUBLIC, operations.startup, "health_startup", "Is start-up complete",
          others=_NOT_YET),
    Route(GET, "/metrics", PUBLIC, operations.metrics, "metrics", "Metrics for Prometheus"),
    Route(GET, "/schema/asyncapi.json", PUBLIC, operations.events, "asyncapi", "The AsyncAPI document",
          problems=(404,)),
    Route(GET, "/", PUBLIC, operations.root, "root", "To the documentation", status=303, documented=False),
    Route(GET, "/docs", PUBLIC, operations.docs, "docs", "Documentation for people", documented=False),
    Route(GET, "/docs/rapidoc-min.js", PUBLIC, operations.docs_script, "docs_script", "The documentation's viewer",
          documented=False),
)
# fmt: on
