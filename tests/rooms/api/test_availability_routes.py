"""Availability over HTTP: the numbers, where they come from, and what pollers are spared."""

import pytest
from msgspec import json

from atp.domain.commands import Level, PutPolicy
from atp.domain.ids import partition_of
from atp.domain.outcomes import Outcome

from .conftest import Api, assert_problem, served

pytestmark = pytest.mark.anyio


async def test_availability_has_the_shape_of_the_contract(api: Api) -> None:
    await api.stock("TSHIRT-M", 50)
    await api.send("PUT", "/v1/items/TSHIRT-M", key=api.admin, json={"safety_stock": 6})
    held = (await api.reserve("TSHIRT-M", 2)).json()["id"]
    paid = (await api.reserve("TSHIRT-M", 5)).json()["id"]
    last = (await api.send("POST", f"/v1/reservations/{paid}/confirm")).json()
    assert held
    answer = await api.send("GET", "/v1/availability/TSHIRT-M?channel=web")
    assert answer.status_code == 200
    got = answer.json()
    assert got.pop("as_of").endswith("Z")
    (location,) = got.pop("locations")
    (source,) = location.pop("sources")
    assert got == {
        "sku": "TSHIRT-M",
        "channel": "web",
        "ats": 37,
        "held": 2,
        "committed": 5,
        "position": last["position"],
        "stale": False,
    }
    assert location == {
        "location": "DC1",
        "ats": 37,
        "on_hand": 50,
        "unsellable": 0,
        "safety_stock": 6,
        "held": 2,
        "committed": 5,
        "shipped_uncounted": 0,
    }
    assert source == {"source": "wms", "as_of": None, "lag_seconds": 0.0, "role": "authority"}


async def test_a_source_that_tells_the_time_is_shown_with_its_lag(api: Api) -> None:
    await api.ledger.put_policy(PutPolicy("location", "DC1", '{"kind":"warehouse"}'))
    level = Level("A", "DC1", "wms", 5, "time", (0, 1), "", 0, 1_763_719_200_123)
    (result,) = await api.ledger.apply([level])
    assert result.outcome is Outcome.APPLIED
    (source,) = (await api.send("GET", "/v1/availability/A")).json()["locations"][0]["sources"]
    assert source["as_of"] == "2025-11-21T10:00:00.123Z"
    assert source["lag_seconds"] > 0


async def test_a_sku_nobody_has_heard_of_is_zero_and_not_an_error(api: Api) -> None:
    answer = await api.send("GET", "/v1/availability/NEW")
    assert answer.status_code == 200
    got = answer.json()
    assert (got["ats"], got["locations"], got["position"], got["channel"]) == (0, [], "0:0", "default")


async def test_one_location_and_locations_that_are_not_active(api: Api) -> None:
    await api.stock("A", 3, "DC1")
    await api.stock("A", 4, "DC2")
    await api.send("PUT", "/v1/locations/DC2", key=api.admin, json={"kind": "store", "active": False})
    whole = (await api.send("GET", "/v1/availability/A")).json()
    assert whole["ats"] == 3
    assert [(at["location"], at["ats"], at["on_hand"]) for at in whole["locations"]] == [("DC1", 3, 3), ("DC2", 0, 4)]
    one = (await api.send("GET", "/v1/availability/A?location=DC1")).json()
    assert [at["location"] for at in one["locations"]] == ["DC1"]
    assert (await api.send("GET", "/v1/availability/A?location=nowhere")).json()["ats"] == 0


async def test_a_shortage_at_one_location_hides_nothing_of_another(api: Api) -> None:
    await api.stock("A", -5, "DC1")
    await api.stock("A", 4, "DC2")
    assert (await api.send("GET", "/v1/availability/A")).json()["ats"] == 4


async def test_an_etag_lasts_as_long_as_the_numbers(api: Api) -> None:
    await api.stock("A", 5)
    path = "/v1/availability/A"
    first = await api.send("GET", path)
    tag = first.headers["etag"]
    for given in (tag, f'W/{tag}, "x"'):
        same = await api.send("GET", path, headers={"if-none-match": given})
        assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", tag)
    assert (await api.send("GET", f"{path}?channel=web")).headers["etag"] != tag
    await api.reserve("A")
    assert (await api.send("GET", path, headers={"if-none-match": tag})).status_code == 200
    before = (await api.send("GET", path)).headers["etag"]
    await api.send("PUT", "/v1/locations/DC1", key=api.admin, json={"kind": "warehouse", "active": False})
    assert (await api.send("GET", path)).headers["etag"] != before


async def test_a_slash_in_a_sku(api: Api) -> None:
    for sku, path in (("A/B", "A%2FB"), ("A%2FB", "A%252FB"), ("A B+C?", "A%20B+C%3F"), ("ü", "%C3%BC"), ("/", "%2F")):
        await api.stock(sku, 7)
        got = (await api.send("GET", f"/v1/availability/{path}")).json()
        assert (got["sku"], got["ats"]) == (sku, 7)
        put = await api.send("PUT", f"/v1/items/{path}", key=api.admin, json={"safety_stock": 2})
        assert put.json()["id"] == sku
        assert (await api.send("GET", f"/v1/availability/{path}")).json()["ats"] == 5
    assert_problem(await api.send("GET", "/v1/availability/A/B"), 404, "not-found")


async def test_many_skus_in_the_order_asked(api: Api) -> None:
    await api.stock("A", 1)
    await api.stock("B", 2)
    answer = await api.send("POST", "/v1/availability/query", json={"skus": ["B", "none", "A", "B"], "channel": "web"})
    got = answer.json()["availability"]
    assert [(one["sku"], one["ats"], one["channel"]) for one in got] == [
        ("B", 2, "web"),
        ("none", 0, "web"),
        ("A", 1, "web"),
        ("B", 2, "web"),
    ]
    most = await api.send("POST", "/v1/availability/query", json={"skus": [f"S{n}" for n in range(500)]})
    assert len(most.json()["availability"]) == 500


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"skus": []}, "/skus"),
        ({"skus": ["x"] * 501}, "/skus"),
        ({"skus": ["a", ""]}, "/skus/1"),
        ({"skus": ["a", "b\n"]}, "/skus/1"),
        ({"skus": ["a"], "date": "2026-12-32"}, "/date"),
        ({"skus": ["a"], "location_group": "a\tb"}, "/location_group"),
        ({"skus": ["a"], "more": 1}, "/more"),
    ],
)
async def test_queries_that_are_wrong(api: Api, body: dict, pointer: str) -> None:
    problem = assert_problem(await api.send("POST", "/v1/availability/query", json=body), 400, "invalid-request")
    assert problem["errors"][0]["pointer"] == pointer


async def test_positions_name_the_skus_partition(valkey: str, namespace: str) -> None:
    async with served(valkey, namespace, partitions=4) as api:
        skus = [f"S{n}" for n in range(12)]
        for sku in skus:
            await api.stock(sku, 3)
        answer = await api.send("POST", "/v1/availability/query", content=json.encode({"skus": skus}),
                                headers={"content-type": "application/json"})  # fmt: skip
        for one in answer.json()["availability"]:
            assert one["position"].startswith(f"{partition_of(one['sku'], 4)}:")
            reservation = (await api.reserve(one["sku"])).json()
            assert reservation["position"].startswith(f"{partition_of(one['sku'], 4)}:")
            assert (await api.send("GET", f"/v1/reservations/{reservation['id']}")).json()["state"] == "held"
