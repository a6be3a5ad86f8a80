"""Classes: how important a route is when not everything can be answered (research/reliability.md §4).

The class is the route's, never the caller's word. A route that nobody classified ends the start, as one without scopes
does.
"""

from collections.abc import Iterable
from enum import IntEnum
from typing import Any

from litestar.exceptions import ImproperlyConfiguredException


class Class(IntEnum):
    """Lower comes first."""

    P0 = 0  # ends or moves what was sold, and tells how the process is
    P1 = 1  # sells
    P2 = 2  # shows
    P3 = 3  # bulk and administration: can be repeated later
    IDLE = 4  # waits for something to tell, with P2's right to be here, and takes no slot


_ROUTES = {
    Class.P0: {
        "confirm", "release", "extend", "fulfil", "acknowledge", "transfer",
        "health_live", "health_ready", "health_startup", "metrics",
        "rebuild", "list_exceptions", "get_exception", "resolve_exception",  # a person's way out of trouble
    },
    Class.P1: {"reserve"},
    Class.P2: {"get_availability", "query_availability", "get_reservation", "make_ticket"},
    Class.P3: {
        "reserve_batch", "search_reservations", "get_reservation_history",
        "list_locations", "get_location", "put_location", "get_item", "put_item",
        "list_sources", "get_source", "put_source", "move_authority", "restart_source",
        "put_item_channel", "get_item_channel", "list_channels", "get_channel", "put_channel",
        "get_location_group", "put_location_group", "list_campaigns", "get_campaign", "put_campaign",
        "request_check", "list_checks", "get_check",
        "post_stock_events", "post_raw_stock", "adjust_stock", "list_stock_entries", "audit",
        "list_dead_letters", "replay_dead_letters", "discard_dead_letters", "get_dead_letter", "replay_dead_letter",
        "discard_dead_letter", "root", "docs", "docs_script",
        "delete_location", "list_items", "delete_item", "delete_item_channel", "delete_source", "delete_channel",
        "list_location_groups", "delete_location_group", "delete_campaign",
        "list_clients", "get_client", "create_client", "put_client", "delete_client", "create_key", "delete_key",
        "forget_customer", "asyncapi",
    },
    Class.IDLE: {"list_changes", "stream_changes"},
}  # fmt: skip

#: The class of every route, by its name.
CLASSES: dict[str, Class] = {name: each for each, names in _ROUTES.items() for name in names}


class Matcher:
    """The class of a raw path before anybody routed it; what no route has is P3, like the page about it."""

    def __init__(self, routes: Iterable[tuple[str, str, str]]) -> None:
        """``routes`` are (method, template, name). Raises ImproperlyConfiguredException for one without a class."""
        self._root: dict[bytes, Any] = {}
        for method, template, name in routes:
            if name not in CLASSES:
                raise ImproperlyConfiguredException(f"{template} has no class: add {name!r} to admission/classes.py")
            node = self._root
            for segment in template.strip("/").encode().split(b"/"):
                node = node.setdefault(b"*" if segment.startswith(b"{") else segment, {})
            node[b"/" + method.encode()] = CLASSES[name]  # no segment has a slash

    def match(self, method: str, path: bytes) -> Class:
        """Class of a request by its method and raw path."""
        node: dict[bytes, Any] | None = self._root
        for segment in path.strip(b"/").split(b"/"):
            node = node.get(segment) or node.get(b"*")
            if node is None:
                return Class.P3
        return node.get(b"/" + method.encode(), Class.P3)
