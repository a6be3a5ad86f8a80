"""Examples for the document, by route: a body that may be sent, and what it is answered.

A test decodes each as the type it stands for, so that none goes out of date.
"""

from typing import Any

_LINE = {
    "line_id": "1", "sku": "TSHIRT-M", "requested": 2, "quantity": 2,
    "held": 2, "committed": 0, "acknowledged": 0, "fulfilled": 0, "released": 0, "expired": 0,
    "allocations": [{"location": "DC1", "quantity": 2, "supply": "on_hand"}],
}  # fmt: skip

#: Of a dry run, too.
QUOTE = {
    "state": "held",
    "expires_at": "2026-11-21T10:10:00.000Z",
    "expires_in_seconds": 600,
    "created_at": "2026-11-21T10:00:00.000Z",
    "channel": "web",
    "customer": "c-42",
    "order_ref": None,
    "campaign": None,
    "metadata": {},
    "lines": [_LINE],
}
_HELD = {"id": "3k7Zp0vQm1xT8sLw2aB", **QUOTE, "position": "0:1234"}
_ENDED = {**_HELD, "expires_at": None, "expires_in_seconds": None, "order_ref": "A-1001", "position": "0:1260"}
_PART = [{"line_id": "1", "quantity": 2}]


def _changed(state: str, location: str = "DC1", **units: int) -> dict[str, Any]:
    allocations = [{"location": location, "quantity": 2, "supply": "on_hand"}]
    return {**_ENDED, "state": state, "lines": [{**_LINE, "held": 0, **units, "allocations": allocations}]}


_RESERVE = {"lines": [{"sku": "TSHIRT-M", "quantity": 2}], "channel": "web", "customer": "c-42", "ttl_seconds": 600}

_SHORT = {
    "type": "urn:atp:problem:insufficient-availability",
    "title": "Not enough units are available",
    "status": 409,
    "detail": "Nothing was changed: not all the units are free.",
    "request_id": "9f1c4e0f6b1d4b0d",
    "errors": [
        {
            "detail": "3 requested, 1 available.", "pointer": "/reservations/1/lines/0", "sku": "MUG", "requested": 3,
            "available": 1, "largest_quantity": 1, "held_by_others": 4,
            "earliest_hold_expiry": "2026-11-21T10:04:11.000Z", "other_locations": [],
        }
    ],
}  # fmt: skip

_AVAILABILITY = {
    "sku": "TSHIRT-M",
    "channel": "web",
    "ats": 36,
    "held": 2,
    "committed": 5,
    "locations": [
        {
            "location": "DC1", "ats": 36, "on_hand": 50, "unsellable": 0, "safety_stock": 6, "held": 2, "committed": 5,
            "shipped_uncounted": 1,
            "sources": [
                {"source": "wms-east", "as_of": "2026-11-21T09:59:58.000Z", "lag_seconds": 0.4, "role": "authority"}
            ],
        }
    ],
    "as_of": "2026-11-21T10:00:00.000Z",
    "position": "0:1234",
    "stale": False,
}  # fmt: skip

_FEED = {
    "changes": [
        {"sku": "TSHIRT-M", "channel": "web", "ats": 36, "position": "0:1234", "as_of": "2026-11-21T10:00:00.000Z"}
    ],
    "cursor": "1-2n9c-1ps",
    "more": False,
}

_EVENT = {
    "specversion": "1.0", "id": "wms-east-8841", "source": "wms-east", "type": "atp.stock.level.v1", "sequence": "8841",
    "data": {"lines": [{"sku": "TSHIRT-M", "location": "DC1", "quantity": 50}]},
}  # fmt: skip

_FOUND = {"sku": "TSHIRT-M", "location": "DC1", "quantity": -2, "reason": "two were damaged in the aisle"}

_LETTER = {
    "id": "17", "source": "wms-east", "reason": "unknown-location",
    "detail": "1 of 2 lines refused: lines[1]: location 'DC9' is not known", "dead_at": "2026-11-21T10:00:00.000Z",
    "subject": "stock.v1.wms-east", "stream": "STOCK", "stream_sequence": 90211, "deliveries": 1, "size": 118,
    "event_id": "wms-east-8840", "event_type": "atp.stock.level.v1",
}  # fmt: skip
_LETTERS = {"source": "wms-east", "reason": "unknown-location", "before": "2026-11-21T12:00:00Z", "limit": 500}

#: Bodies by the name of the route.
BODIES: dict[str, Any] = {
    "reserve": _RESERVE,
    "reserve_batch": {"reservations": [_RESERVE, {"lines": [{"sku": "MUG", "quantity": 3}]}]},
    "confirm": {"order_ref": "A-1001"},
    "release": {"lines": _PART, "of": "committed", "reason": "customer changed their mind"},
    "extend": {"ttl_seconds": 900},
    "fulfil": {"lines": _PART, "shipment": "SHIP-77"},
    "acknowledge": {"lines": _PART},
    "transfer": {"line_id": "1", "from": "DC1", "to": "DC2", "quantity": 2},
    "query_availability": {"skus": ["TSHIRT-M", "MUG"], "channel": "web"},
    "put_location": {"kind": "warehouse", "priority": 0, "sources": [{"source": "wms-east", "role": "authority"}]},
    "put_item": {"safety_stock": 2, "safety_stock_by_location": {"DC1": 6}},
    "put_item_channel": {"protection": 100, "cap": 500},
    "put_channel": {
        "priority": 0, "location_groups": ["east"], "locations": [], "held_units_per_customer": 20,
        "max_hold_seconds": 1800,
    },
    "put_location_group": {"description": "Warehouses near the coast"},
    "put_campaign": {
        "starts_at": "2026-11-27T08:00:00Z", "ends_at": "2026-11-27T20:00:00Z", "channels": ["web"],
        "skus": {"TSHIRT-M": {"quantity": 500}}, "ttl_seconds": 300, "per_customer": 2, "waiting_room": True,
    },
    "make_ticket": {"customer": "c-42"},
    "resolve_exception": {
        "reason": "DC1 found two less.",
        "actions": [
            {"action": "transfer", "reservation": "3k7Zp0vQm1xT8sLw2aB", "line_id": "1", "to": "DC2", "quantity": 2}
        ],
    },
    "move_authority": {"to": "erp-new"},
    "put_source": {"kind": "wms", "measure": "on_hand", "version": "sequence", "full_guard_percent": 20,
                   "stale_after_seconds": 900},
    "post_stock_events": [_EVENT],
    "adjust_stock": _FOUND,
    "replay_dead_letters": _LETTERS,
    "request_check": {"repair": True, "share": 10},
    "rebuild": {"accept_loss": False, "reason": "the disk was replaced"},
    "discard_dead_letters": _LETTERS,
    "create_client": {"id": "shop", "scopes": ["availability:read", "reservations:write"], "channels": ["web"]},
    "put_client": {"scopes": ["availability:read"], "channels": ["web"], "disabled": False,
                   "quotas": {"reserve": {"rate": 500.0, "burst": 2000.0}}},
}  # fmt: skip

_CHECK = {
    "id": "12",
    "status": "done",
    "repair": True,
    "requested_at": "2026-11-21T10:00:00.000Z",
    "requested_by": "ops",
    "percent": 100.0,
    "looked": 201344,
    "found": 1,
    "repaired": 1,
}

#: Success answers by the name of the route.
_REQUEST = {"key": "w2k8hd0qzv1m", "request": "9f1c4e0f6b1d4b0d"}
_ENTRY = {
    "position": "0:1260", "at": "2026-11-21T10:03:12.418Z", "kind": "committed", "about": "3k7Zp0vQm1xT8sLw2aB",
    "client": "shop", "cause": _REQUEST,
    "changed": [
        {"field": "state", "before": "held", "after": "committed"},
        {"field": "lines/1/DC1/held", "before": 2, "after": None},
        {"field": "lines/1/DC1/committed", "before": None, "after": 2},
    ],
    "balances": [
        {
            "sku": "TSHIRT-M", "location": "DC1", "number": 50, "unsellable": 0, "safety_stock": 6, "held": 0,
            "committed": 7, "free": 37,
        }
    ],
}  # fmt: skip
_ADJUSTED = {
    "position": "0:1299", "at": "2026-11-21T11:20:00.002Z", "kind": "adjusted", "about": "TSHIRT-M",
    "client": "anna", "cause": _REQUEST, "changed": [{"field": "number", "before": 50, "after": 48}],
    "facts": {"sku": "TSHIRT-M", "location": "DC1", "source": "wms-east", "quantity": -2, "reason": "broken"},
}  # fmt: skip

_KEY = {"prefix": "x7k2m9q4w1zt", "created_at": "2026-11-21T10:00:00.000Z"}
_CLIENT = {
    "scopes": ["availability:read", "reservations:write"], "channels": ["web"], "sources": [], "disabled": False,
    "quotas": {"reserve": {"rate": 500.0, "burst": 2000.0}}, "id": "shop", "keys": [_KEY], "version": 41,
}  # fmt: skip

ANSWERS: dict[str, Any] = {
    "forget_customer": {"forgotten": 12, "kept": 1},
    "list_clients": {"clients": [_CLIENT]},
    "get_client": _CLIENT,
    "put_client": {
        **_CLIENT, "scopes": ["availability:read"], "quotas": {"reserve": {"rate": 500.0, "burst": 2000.0}},
        "version": 57,
    },
    "make_ticket": {
        "ticket": "lAHPABm_x1c0pIjPAAABmr…", "campaign": "bf-2026", "due": False, "ahead": 1840, "waiting": 20417,
        "not_before": "2026-11-27T08:00:00.000Z", "expected_at": "2026-11-27T08:00:03.680Z",
        "expires_at": "2026-11-27T12:00:00.000Z",
    },
    "create_client": {**_CLIENT, "keys": []},
    "create_key": {**_KEY, "client": "shop", "key": "atp_x7k2m9q4w1zt_<43 characters, shown once>"},
    "list_items": {
        "items": [
            {"id": "TSHIRT-M", "version": 33, "safety_stock": 2, "safety_stock_by_location": {"DC1": 6},
             "on_shortage": "report", "victims": "newest"},
        ],
        "after": "TSHIRT-M",
    },
    "reserve": _HELD,
    "reserve_batch": {"results": [{"status": 201, "reservation": _HELD}, {"status": 409, "problem": _SHORT}]},
    "get_reservation": _HELD,
    "search_reservations": {"reservations": [_HELD], "next_page_token": "93cf0000018d"},
    "get_reservation_history": {"entries": [_ENTRY], "journal_begins": "0:512"},
    "list_stock_entries": {"entries": [_ADJUSTED], "next_page_token": "93cf0000018e"},
    "audit": {"entries": [_ADJUSTED, _ENTRY]},
    "confirm": _changed("committed", committed=2),
    "release": _changed("released", released=2),
    "extend": {**_HELD, "expires_at": "2026-11-21T10:15:00.000Z", "expires_in_seconds": 900, "position": "0:1240"},
    "fulfil": _changed("fulfilled", fulfilled=2),
    "acknowledge": _changed("acknowledged", committed=2, acknowledged=2),
    "transfer": _changed("committed", location="DC2", committed=2),
    "get_availability": _AVAILABILITY,
    "query_availability": {"availability": [_AVAILABILITY], "cursor": "1-2n9c-1ps"},
    "list_changes": _FEED,
    "stream_changes": _FEED,
    "post_stock_events": {
        "accepted": 1,
        "rejected": 1,
        "results": [
            {"index": 0, "id": "wms-east-8841", "status": "accepted"},
            {
                "index": 1, "id": "wms-east-8842", "status": "rejected", "reason": "invalid-data",
                "detail": "$.data.lines[0].quantity: Expected `int`, got `str`",
            },
        ],
    },
    "adjust_stock": {**_FOUND, "position": "0:1299"},
    "post_raw_stock": {"status": "accepted", "stream_sequence": 8812},
    "list_dead_letters": {"dead_letters": [_LETTER], "next_page_token": "17"},
    "get_dead_letter": {
        **_LETTER,
        "headers": {"ce-id": "wms-east-8840", "ce-type": "atp.stock.level.v1", "ce-sequence": "8840"},
        "payload": "{\"lines\":[{\"sku\":\"TSHIRT-M\",\"location\":\"DC9\",\"quantity\":50}]}",
    },
    "request_check": {**_CHECK, "status": "waiting", "percent": 0.0, "looked": 0, "found": 0, "repaired": 0},
    "list_checks": {"checks": [_CHECK]},
    "get_check": {
        **_CHECK,
        "findings": [
            {
                "what": "held", "basis": "records", "partition": 0, "seq": 40217, "found": "7", "expected": "5",
                "sku": "TSHIRT-M", "location": "DC1", "by": -2, "raised": 40218, "repaired": True,
            }
        ],
    },
    "replay_dead_letter": {"id": "17", "status": "replayed"},
    "discard_dead_letter": {"id": "17", "status": "discarded"},
    "replay_dead_letters": {"count": 499, "failed": [{"id": "21", "detail": "its payload is gone"}]},
    "discard_dead_letters": {"count": 500, "failed": [], "next_page_token": "517"},
}  # fmt: skip
