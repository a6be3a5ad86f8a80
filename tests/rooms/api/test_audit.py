"""Audit: every change that a client makes is journaled with the client, the key and the request (issue 5)."""

from typing import Any

import pytest
from litestar.enums import HttpMethod
from msgspec import json

from atp.api.routes import ROUTES
from atp.domain.causes import cause_of
from atp.domain.commands import PutPolicy, Raise
from atp.domain.entries import CampaignOpened
from atp.journal import Journal

from .conftest import Api, served
from .test_exception_routes import journal, journal_all

pytestmark = pytest.mark.anyio

__all__ = ["journal"]

#: Routes that write no entry by themselves: they ask, or they bring a message into a stream, whose entries carry the
#: request (test_stock_events, test_raw_stock); what is done with dead letters is logged, a check says who asked, and a
#: rebuild ends with a LedgerOpened, and with who accepted its loss. Who forgot a customer is logged, and not whom.
#: A place in a waiting room is a number, and what is bought with it says so.
ELSEWHERE = {
    "query_availability", "request_check", "rebuild", "post_stock_events", "post_raw_stock",
    "replay_dead_letter", "discard_dead_letter", "replay_dead_letters", "discard_dead_letters", "forget_customer",
    "make_ticket",
}  # fmt: skip

_LINE = {"sku": "A", "quantity": 2}
_WINDOW = {"starts_at": "2026-01-01T00:00:00Z", "ends_at": "2099-01-01T00:00:00Z"}

#: In this order; a path says which reservation it is about.
WRITES: list[tuple[str, str, dict[str, Any] | None]] = [
    ("put_source", "/v1/sources/erp", {"kind": "erp"}),
    ("put_location", "/v1/locations/DC1", {"kind": "store"}),
    ("put_item", "/v1/items/A", {"safety_stock": 1}),
    ("put_channel", "/v1/channels/web", {"priority": 1}),
    ("put_item_channel", "/v1/items/A/channels/web", {"protection": 1}),
    ("put_location_group", "/v1/location-groups/east", {}),
    ("put_campaign", "/v1/campaigns/bf", {**_WINDOW, "skus": {"A": {"quantity": 1}}}),
    ("restart_source", "/v1/sources/wms/restart", None),
    ("move_authority", "/v1/locations/DC1/authority", {"to": "wms"}),
    ("adjust_stock", "/v1/stock/adjust", {"sku": "A", "location": "DC1", "quantity": 5, "reason": "found"}),
    ("reserve", "/v1/reservations", {"lines": [_LINE]}),
    ("reserve_batch", "/v1/reservations/batch", {"reservations": [{"lines": [_LINE]}]}),
    ("extend", "/v1/reservations/{id}/extend", {"ttl_seconds": 900}),
    ("confirm", "/v1/reservations/{id}/confirm", {}),
    ("acknowledge", "/v1/reservations/{id}/acknowledge", {}),
    ("transfer", "/v1/reservations/{id}/transfer", {"line_id": "1", "from": "DC1", "to": "DC2", "quantity": 1}),
    ("fulfil", "/v1/reservations/{id}/fulfil", {"lines": [{"line_id": "1", "quantity": 1}]}),
    ("release", "/v1/reservations/{id}/release", {"of": "committed"}),
    ("resolve_exception", "/v1/exceptions/{exception}/resolve", {"reason": "seen"}),
    ("create_client", "/v1/clients", {"id": "shop-2", "scopes": ["stock:write"]}),
    ("put_client", "/v1/clients/shop-2", {"scopes": ["reservations:write"]}),
    ("create_key", "/v1/clients/shop-2/keys", None),
    ("delete_key", "/v1/clients/shop-2/keys/{prefix}", None),
    ("delete_client", "/v1/clients/shop-2", None),
    ("delete_item_channel", "/v1/items/A/channels/web", None),
    ("delete_channel", "/v1/channels/web", None),
    ("delete_location_group", "/v1/location-groups/east", None),
    ("delete_item", "/v1/items/A", None),
    ("delete_location", "/v1/locations/S9", None),
    ("delete_source", "/v1/sources/erp", None),
    ("delete_campaign", "/v1/campaigns/later", None),
]

#: Writes that make something: of it the audit has no state before.
MAKING = {"reserve", "reserve_batch", "create_client"}


def test_no_route_that_writes_is_forgotten() -> None:
    writing = {route.name for route in ROUTES if route.method is not HttpMethod.GET}
    assert writing == {name for name, _, _ in WRITES} | ELSEWHERE


async def test_every_change_says_who_and_by_which_request(valkey: str, namespace: str, journal: Journal) -> None:
    async with served(valkey, namespace, journal=journal) as api:
        await api.stock("A", 50)
        await api.stock("A", 50, "DC2")
        await api.ledger.submit(Raise("drift", "A", "DC1"))
        await journal_all(api, journal)
        ids = {"exception": (await journal.exceptions("drift"))[0].id}
        await api.ledger.put_policy(PutPolicy("location", "S9", '{"kind":"store","active":false}'))
        later = {"opens": 9_000_000_000_000, "closes": 9_100_000_000_000, "skus": {"B": {"quantity": 1}}}
        await api.ledger.put_policy(PutPolicy("campaign", "later", json.encode(later).decode(), skus=["B"]))
        key = await api.add_client("everyone", ["admin", "stock:write", "reservations:write", "reservations:fulfil"])
        for name, path, body in WRITES:
            before = (await api.ledger.heads())[0].seq
            method = {"put": "PUT", "delete": "DELETE"}.get(name.partition("_")[0], "POST")
            headers = {"x-request-id": f"by-{name}"}
            answer = await api.send(method, path.format(**ids), key=key, json=body, headers=headers)
            assert answer.status_code in {200, 201, 204}, (name, answer.text)
            if name == "reserve":
                ids["id"] = answer.json()["id"]
            if name == "create_key":
                ids["prefix"] = answer.json()["prefix"]
            await named(api, name, before, key)
        await journal_all(api, journal)
        audit = await api.send("GET", "/v1/audit?client=everyone&limit=500", key=api.admin)
        shown: dict[str, list[dict[str, Any]]] = {}
        for entry in audit.json()["entries"]:
            shown.setdefault(entry["cause"]["request"], []).append(entry)
        for name, _, _ in WRITES:
            entries = shown[f"by-{name}"]
            changed = [field for entry in entries for field in entry.get("changed", [])]
            assert changed or any(entry.get("facts") for entry in entries), (name, "says nothing of what it did")
            assert (
                name in MAKING or name.startswith("put_") or not changed or any("before" in field for field in changed)
            ), (name, changed)


async def named(api: Api, name: str, before: int, key: str) -> None:
    """What was written since says so, at least the entry of the change itself."""
    entries = await api.ledger.read_entries(0, before, 100)
    entries = [entry for entry in entries if not isinstance(entry, CampaignOpened)]  # the clock's own work
    causes = [(entry.client, cause_of(entry.cause)) for entry in entries]
    assert all(cause.request == f"by-{name}" for _, cause in causes), (name, causes)
    assert all(cause.key == key.split("_")[1] for _, cause in causes)
    assert "everyone" in [client for client, _ in causes], (name, causes)
