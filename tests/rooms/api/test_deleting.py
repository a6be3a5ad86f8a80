"""Deleting policies: what is in use stays, what is gone counts as not there, and may be put anew."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from atp.domain.commands import PutPolicy
from tests.support import wait_until_async

from .conftest import Api, assert_problem

pytestmark = pytest.mark.anyio

STORE = {"kind": "store"}


async def admin(api: Api, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
    return await api.send(
        method, f"/v1{path}", key=api.admin, headers=headers, **({} if body is None else {"json": body})
    )


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/locations/S1", {"kind": "store", "active": False}),
        ("/sources/erp", {"kind": "erp", "measure": "available"}),
        ("/items/A", {"safety_stock": 3}),
        ("/items/A/channels/web", {"protection": 5, "cap": 7}),
        ("/channels/web", {"max_hold_seconds": 5}),
        ("/location-groups/east", {"description": "x"}),
    ],
)
async def test_a_deleted_object_is_not_there(api: Api, path: str, body: Any) -> None:
    assert_problem(await admin(api, "DELETE", path), 404, "not-found")
    version = (await admin(api, "PUT", path, body)).headers["etag"]
    assert_problem(await admin(api, "DELETE", path, **{"if-match": '"1"'}), 412, "version-mismatch")
    gone = await admin(api, "DELETE", path, **{"if-match": version})
    assert (gone.status_code, gone.content) == (204, b"")
    assert_problem(await admin(api, "DELETE", path), 404, "not-found")
    assert_problem(await admin(api, "GET", path), 404, "not-found")
    assert_problem(await admin(api, "PUT", path, body, **{"if-match": "*"}), 412, "version-mismatch")
    kind = path.split("/")[1]
    if kind != "items":
        assert (await admin(api, "GET", f"/{kind}")).json() == {kind.replace("-", "_"): []}
    again = await admin(api, "PUT", path, body, **{"if-none-match": "*"})
    assert again.status_code == 200
    assert_problem(await admin(api, "PUT", path, body, **{"if-none-match": "*"}), 412, "version-mismatch")


async def test_a_location_with_promised_units_stays(api: Api) -> None:
    await api.stock("A", 5)
    id = (await api.reserve("A", 2)).json()["id"]
    refused = assert_problem(await admin(api, "DELETE", "/locations/DC1"), 409, "in-use")
    assert "active" in refused["detail"]
    await admin(api, "PUT", "/locations/DC1", {"kind": "warehouse", "active": False})
    refused = assert_problem(await admin(api, "DELETE", "/locations/DC1"), 409, "in-use")
    assert "held or committed" in refused["detail"]
    await api.send("POST", f"/v1/reservations/{id}/release")
    assert (await admin(api, "DELETE", "/locations/DC1")).status_code == 204
    assert await api.ats("A") == 0
    assert (await api.send("GET", "/v1/availability/A")).status_code == 200
    assert_problem(await admin(api, "POST", "/locations/DC1/authority", {"to": "wms"}), 404, "not-found")
    await admin(api, "PUT", "/locations/DC1", {"kind": "warehouse"})
    assert await api.ats("A") == 5


async def test_what_others_name_stays(api: Api) -> None:
    await admin(api, "PUT", "/sources/erp", {"kind": "erp"})
    await admin(api, "PUT", "/location-groups/east", {})
    listed = {"kind": "store", "active": False, "groups": ["east"], "sources": [{"source": "erp", "role": "authority"}]}
    await admin(api, "PUT", "/locations/S1", listed)
    for path in ("/sources/erp", "/location-groups/east"):
        assert "S1" in assert_problem(await admin(api, "DELETE", path), 409, "in-use")["detail"]
    await admin(api, "PUT", "/channels/web", {"locations": ["S1"], "location_groups": ["east"]})
    assert "web" in assert_problem(await admin(api, "DELETE", "/locations/S1"), 409, "in-use")["detail"]
    await admin(api, "PUT", "/locations/S1", {"kind": "store", "active": False})
    assert "web" in assert_problem(await admin(api, "DELETE", "/location-groups/east"), 409, "in-use")["detail"]
    await admin(api, "DELETE", "/channels/web")
    for path in ("/sources/erp", "/location-groups/east", "/locations/S1"):
        assert (await admin(api, "DELETE", path)).status_code == 204


async def test_a_deleted_share_protects_nothing(api: Api) -> None:
    await api.stock("A", 5)
    await admin(api, "PUT", "/items/A/channels/web", {"protection": 5})
    assert (await api.send("GET", "/v1/availability/A?channel=app")).json()["ats"] == 0
    await admin(api, "DELETE", "/items/A/channels/web")
    assert (await api.send("GET", "/v1/availability/A?channel=app")).json()["ats"] == 5


async def test_a_campaign_gives_back_what_was_set_aside(api: Api) -> None:
    await api.stock("A", 5)
    now = datetime.now(UTC)
    window = {"starts_at": (now - timedelta(hours=1)).isoformat(), "ends_at": (now + timedelta(hours=2)).isoformat()}
    body = {**window, "skus": {"A": {"quantity": 4}}}
    await admin(api, "PUT", "/campaigns/bf", body)
    assert await api.ats("A") == 1
    assert_problem(await admin(api, "DELETE", "/campaigns/bf"), 409, "in-use")
    await admin(api, "PUT", "/campaigns/bf", {**body, "starts_at": (now + timedelta(hours=1)).isoformat()})
    assert (await admin(api, "DELETE", "/campaigns/bf")).status_code == 204

    async def given_back() -> bool:
        await admin(api, "PUT", "/items/B", {})  # any batch comes after its edges
        return await api.ats("A") == 5

    await wait_until_async(given_back, description="its units are for all again")
    assert (await admin(api, "GET", "/campaigns")).json() == {"campaigns": []}
    refused = await api.reserve("A", body={"campaign": "bf"})
    assert_problem(refused, 409, "campaign-closed")
    await admin(api, "PUT", "/campaigns/bf", body)
    assert await api.ats("A") == 1


async def test_nothing_that_is_put_looks_deleted(api: Api) -> None:
    """The marker is told from text inside the body."""
    await admin(api, "PUT", "/location-groups/g", {"description": '"deleted":true}'})
    assert (await admin(api, "GET", "/location-groups/g")).status_code == 200
    await api.ledger.put_policy(PutPolicy("location-group", "h", '{"deleted":true}'))
    assert_problem(await admin(api, "GET", "/location-groups/h"), 404, "not-found")
