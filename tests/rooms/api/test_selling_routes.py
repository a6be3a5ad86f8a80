"""Channels, shares, location groups and campaigns over HTTP, and what buyers are told by them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from .conftest import Api, assert_problem

pytestmark = pytest.mark.anyio


async def put(api: Api, path: str, body: Any, **headers: str) -> Any:
    return await api.send("PUT", path, key=api.admin, json=body, headers=headers)


async def get(api: Api, path: str) -> Any:
    return await api.send("GET", path, key=api.admin)


async def availability(api: Api, query: str = "") -> dict[str, Any]:
    answer = await api.send("GET", f"/v1/availability/A{query}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def window(opens_s: float, closes_s: float) -> dict[str, str]:
    now = datetime.now(UTC)
    return {
        "starts_at": (now + timedelta(seconds=opens_s)).isoformat(),
        "ends_at": (now + timedelta(seconds=closes_s)).isoformat(),
    }


async def test_what_was_put_is_what_is_got(api: Api) -> None:
    channel = {
        "priority": 2, "location_groups": ["east"], "locations": ["DC1"], "held_units_per_customer": 5,
        "max_hold_seconds": 60,
    }  # fmt: skip
    campaign = {
        "starts_at": "2026-11-27T08:00:00.000Z", "ends_at": "2026-11-27T20:00:00.000Z", "channels": ["web"],
        "skus": {"A": {"quantity": 500}}, "ttl_seconds": 120, "per_customer": 2, "waiting_room": True,
    }  # fmt: skip
    for path, body, named in (
        ("/v1/channels/web", channel, {"id": "web"}),
        ("/v1/items/A/channels/web", {"protection": 3, "cap": 9}, {"sku": "A", "channel": "web"}),
        ("/v1/location-groups/east", {"description": "by the sea"}, {"id": "east"}),
        ("/v1/campaigns/bf", campaign, {"id": "bf"}),
    ):
        stored = await put(api, path, body)
        assert stored.status_code == 200, stored.text
        version = stored.json()["version"]
        got = await get(api, path)
        assert got.json() == {**named, **body, "version": version}
        assert got.headers["etag"] == f'"{version}"'
        assert_problem(await put(api, path, body, **{"if-match": '"1"'}), 412, "version-mismatch")
        assert (await put(api, path, body, **{"if-match": f'"{version}"'})).status_code == 200
        assert_problem(await get(api, path.replace("web", "other").replace("bf", "x").replace("east", "x")), 404,
                       "not-found")  # fmt: skip
    assert [each["id"] for each in (await get(api, "/v1/channels")).json()["channels"]] == ["web"]
    (only,) = (await get(api, "/v1/campaigns")).json()["campaigns"]
    assert {name: only[name] for name in campaign} == campaign


@pytest.mark.parametrize(
    ("path", "body", "pointer"),
    [
        ("/v1/channels/web", {"held_units_per_customer": 0}, "/held_units_per_customer"),
        ("/v1/channels/web", {"max_hold_seconds": 14_401}, "/max_hold_seconds"),
        ("/v1/channels/web", {"locations": ["a\u0007"]}, "/locations/0"),
        ("/v1/channels/web", {"location_groups": ["e\u0301"]}, "/location_groups/0"),
        ("/v1/items/A/channels/web", {"protection": -1}, "/protection"),
        ("/v1/items/A/channels/web", {"cap": 10**9 + 1}, "/cap"),
        ("/v1/campaigns/bf", {**window(0, 9), "skus": {}}, "/skus"),
        ("/v1/campaigns/bf", {**window(0, 9), "skus": {"A": {"quantity": 0}}}, "/skus/A/quantity"),
        ("/v1/campaigns/bf", {**window(9, 0), "skus": {"A": {"quantity": 1}}}, "/ends_at"),
        ("/v1/campaigns/bf", {"starts_at": "2026-11-27T08:00:00", "ends_at": "2026-11-27T09:00:00Z",
                              "skus": {"A": {"quantity": 1}}}, "/starts_at"),
    ],
)  # fmt: skip
async def test_bodies_that_are_wrong(api: Api, path: str, body: Any, pointer: str) -> None:
    problem = assert_problem(await put(api, path, body), 400, "invalid-request")
    assert problem["errors"][0]["pointer"].startswith(pointer.removesuffix("/A/quantity"))
    assert_problem(await get(api, path), 404, "not-found")


async def test_a_channel_sees_and_sells_its_own_places(api: Api) -> None:
    await put(api, "/v1/locations/S1", {"kind": "store", "groups": ["shops"], "priority": 5})
    await api.stock("A", 5)
    await api.stock("A", 2, "S1")
    await put(api, "/v1/channels/pickup", {"location_groups": ["shops"]})
    seen = await availability(api, "?channel=pickup")
    assert (seen["ats"], [at["location"] for at in seen["locations"]]) == (2, ["S1"])
    assert (await availability(api, "?location_group=shops"))["ats"] == 2
    assert (await availability(api, "?location=DC1"))["ats"] == 5
    assert (await availability(api))["ats"] == 7
    asked = {"skus": ["A"], "channel": "pickup"}
    found = (await api.send("POST", "/v1/availability/query", json=asked)).json()["availability"]
    assert found[0]["ats"] == 2
    lines = [{"sku": "A", "quantity": 1, "location": "DC1"}]
    answer = await api.reserve("A", body={"lines": lines, "channel": "pickup"})
    assert assert_problem(answer, 403, "channel-not-allowed")["errors"][0]["pointer"] == "/lines/0/location"
    lines = [{"sku": "A", "quantity": 3, "location_group": "shops"}]
    answer = await api.reserve("A", body={"lines": lines, "channel": "web"})
    (refused,) = assert_problem(answer, 409, "insufficient-availability")["errors"]
    assert (refused["available"], refused["other_locations"]) == (2, [{"location": "DC1", "available": 5}])
    lines = [{"sku": "A", "quantity": 1, "location_group": "nowhere"}]
    answer = await api.reserve("A", body={"lines": lines})
    assert assert_problem(answer, 400, "invalid-request")["errors"][0]["pointer"] == "/lines/0/location_group"


async def test_what_is_protected_is_not_sold_to_others(api: Api) -> None:
    await api.stock("A", 10)
    before = await availability(api, "?channel=app")
    await put(api, "/v1/items/A/channels/web", {"protection": 6})
    after = await availability(api, "?channel=app")
    assert (before["ats"], after["ats"], (await availability(api, "?channel=web"))["ats"]) == (10, 4, 10)
    assert int(after["position"].split(":")[1]) > int(before["position"].split(":")[1])
    answer = await api.reserve("A", 5, body={"channel": "app"})
    assert assert_problem(answer, 409, "insufficient-availability")["errors"][0]["available"] == 4
    assert (await api.reserve("A", 4, body={"channel": "app"})).status_code == 201


async def test_a_sale_has_its_window_its_stock_and_its_limit(api: Api) -> None:
    await api.stock("A", 10)
    offer = {"skus": {"A": {"quantity": 4}}, "channels": ["web"], "ttl_seconds": 60, "per_customer": 2}
    await put(api, "/v1/campaigns/bf", {**window(60, 120), **offer})
    assert (await availability(api, "?channel=web"))["ats"] == 6
    buy = {"channel": "web", "campaign": "bf", "customer": "c-1"}
    assert_problem(await api.reserve("A", body=buy), 409, "campaign-closed")
    await put(api, "/v1/campaigns/bf", {**window(-1, 120), **offer})
    seen = await availability(api, "?channel=web&campaign=bf")
    assert (seen["ats"], seen["campaign"]) == (4, "bf")
    held = (await api.reserve("A", 2, body=buy)).json()
    assert (held["campaign"], held["expires_in_seconds"]) == ("bf", 60)
    refused = assert_problem(await api.reserve("A", body=buy), 409, "limit-exceeded")
    assert "campaign allows" in refused["detail"]
    for body, status, code, pointer in (
        ({**buy, "customer": None}, 400, "invalid-request", "/customer"),
        ({**buy, "channel": "app"}, 403, "channel-not-allowed", "/campaign"),
        ({**buy, "campaign": "none"}, 400, "invalid-request", "/campaign"),
        ({**buy, "ttl_seconds": 61}, 409, "limit-exceeded", "/ttl_seconds"),
    ):
        problem = assert_problem(await api.reserve("A", body=body), status, code)
        assert problem["errors"][0]["pointer"] == pointer
    assert (await availability(api, "?channel=web"))["ats"] == 6


async def test_units_a_customer_holds_at_once(api: Api) -> None:
    await api.stock("A", 10)
    await put(api, "/v1/channels/web", {"held_units_per_customer": 3})
    first = await api.reserve("A", 2, body={"channel": "web", "customer": "c-1"})
    refused = assert_problem(await api.reserve("A", 2, body={"channel": "web", "customer": "c-1"}), 409,
                             "limit-exceeded")  # fmt: skip
    assert "hold more units at once" in refused["detail"]
    assert (await api.send("POST", f"/v1/reservations/{first.json()['id']}/confirm")).status_code == 200
    assert (await api.reserve("A", 3, body={"channel": "web", "customer": "c-1"})).status_code == 201


async def test_one_place_or_a_group_of_them(api: Api) -> None:
    answer = await api.send("GET", "/v1/availability/A?location=DC1&location_group=east")
    assert_problem(answer, 400, "invalid-request")
