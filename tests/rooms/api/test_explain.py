"""`explain=true`: the same answer with its terms, which a caller can add up (DESIGN §1 P6)."""

import asyncio
from typing import Any

import pytest

from .conftest import Api, assert_problem

pytestmark = pytest.mark.anyio


def total(terms: list[dict[str, Any]]) -> int:
    return sum(term["quantity"] for term in terms)


async def test_a_program_re_adds_the_answer(api: Api) -> None:
    await api.stock("A", 20, "DC1")
    await api.stock("A", -3, "DC2")
    await api.stock("A", 7, "S1")
    await api.send("PUT", "/v1/items/A", key=api.admin, json={"safety_stock": 2})
    await api.send("PUT", "/v1/locations/S1", key=api.admin, json={"kind": "store", "active": False})
    id = (await api.reserve("A", 5)).json()["id"]
    await api.send("POST", f"/v1/reservations/{id}/confirm", json={"lines": [{"line_id": "1", "quantity": 2}]})

    plain = (await api.send("GET", "/v1/availability/A")).json()
    got = (await api.send("GET", "/v1/availability/A?explain=true")).json()
    explained = got.pop("explain")
    assert {**got, "as_of": ""} == {**plain, "as_of": ""}
    assert total(explained["terms"]) == explained["ats"] == got["ats"] == 13
    for at, answered in zip(explained["locations"], got["locations"], strict=True):
        assert at["location"] == answered["location"]
        assert total(at["terms"]) == at["free"]
        assert at["free"] + total(at["limits"]) == at["ats"] == answered["ats"]
    dc1, dc2, s1 = explained["locations"]
    assert [(term["term"], term["quantity"]) for term in dc1["terms"]] == [
        ("level", 20), ("safety_stock", -2), ("held", -3), ("committed", -2),
    ]  # fmt: skip
    assert (dc1["terms"][0]["source"], dc1["terms"][0]["version"]) == ("wms", "1")
    assert [limit["term"] for limit in dc2["limits"] + s1["limits"]] == ["never_below_zero", "not_active"]
    assert dc1["terms"][1]["policy_version"] > 0


async def test_one_location_explains_its_own_answer(api: Api) -> None:
    await api.stock("A", 4, "DC1")
    await api.stock("A", 5, "DC2")
    got = (await api.send("GET", "/v1/availability/A?explain=true&location=DC2")).json()
    assert [at["location"] for at in got["explain"]["locations"]] == ["DC2"]
    assert total(got["explain"]["terms"]) == got["ats"] == 5


async def test_a_client_bound_to_channels_is_not_told_of_the_shares_of_others(api: Api) -> None:
    """Who plans which campaign, and how many units another channel is promised, is none of its business (R34)."""
    await api.stock("A", 40)
    for path, body in (
        ("items/A/channels/web", {"protection": 5}),
        ("items/A/channels/market", {"cap": 20}),
        ("campaigns/secret", {"starts_at": "2090-01-01T00:00:00Z", "ends_at": "2091-01-01T00:00:00Z",
                              "skus": {"A": {"quantity": 12}}}),
    ):  # fmt: skip
        assert (await api.send("PUT", f"/v1/{path}", key=api.admin, json=body)).status_code == 200
    bound = await api.add_client("market", ["availability:read"], ["market"])
    path = "/v1/availability/A?explain=true&channel=market"
    answer = await api.send("GET", path, key=bound)
    assert "secret" not in answer.text
    assert "web" not in answer.text
    explained = answer.json()["explain"]
    assert [(term["term"], term["quantity"]) for term in explained["terms"]] == [
        ("location", 40), ("protection", -17), ("cap", -3),
    ]  # fmt: skip
    assert total(explained["terms"]) == explained["ats"] == answer.json()["ats"] == 20
    everybody = (await api.send("GET", path)).json()["explain"]["terms"]
    assert [(term.get("campaign"), term.get("channel")) for term in everybody[1:3]] == [("secret", None), (None, "web")]


async def test_an_unknown_sku_has_nothing_to_explain(api: Api) -> None:
    got = (await api.send("GET", "/v1/availability/NEW?explain=true")).json()
    assert got["explain"] == {"terms": [], "ats": 0, "locations": []}


async def test_it_is_one_reading_while_others_sell(api: Api) -> None:
    await api.stock("A", 100)

    async def read() -> None:
        got = (await api.send("GET", "/v1/availability/A?explain=true")).json()
        assert total(got["explain"]["terms"]) == got["ats"]
        assert total(got["explain"]["locations"][0]["terms"]) == got["ats"]

    await asyncio.gather(*(api.reserve("A") for _ in range(30)), *(read() for _ in range(20)))


async def test_it_has_an_etag_of_its_own(api: Api) -> None:
    await api.stock("A", 4)
    plain = await api.send("GET", "/v1/availability/A?explain=false")
    assert "explain" not in plain.json()
    explained = await api.send("GET", "/v1/availability/A?explain=true")
    assert explained.headers["etag"] != plain.headers["etag"]
    headers = {"if-none-match": explained.headers["etag"]}
    again = await api.send("GET", "/v1/availability/A?explain=true", headers=headers)
    assert again.status_code == 304


async def test_the_parameter_is_true_or_false(api: Api) -> None:
    assert_problem(await api.send("GET", "/v1/availability/A?explain=yes"), 400, "invalid-request")


async def test_what_is_kept_for_others_is_a_term(api: Api) -> None:
    await api.stock("A", 20)
    await api.send("PUT", "/v1/items/A/channels/app", key=api.admin, json={"protection": 8})
    stored = (await api.send("PUT", "/v1/items/A/channels/web", key=api.admin, json={"cap": 5})).json()
    got = (await api.send("GET", "/v1/availability/A?explain=true&channel=web")).json()
    assert got["ats"] == got["explain"]["ats"] == total(got["explain"]["terms"]) == 5
    assert [(term["term"], term["quantity"]) for term in got["explain"]["terms"]] == [
        ("location", 20), ("protection", -8), ("cap", -7),
    ]  # fmt: skip
    _, protection, cap = got["explain"]["terms"]
    assert (protection["channel"], cap["channel"], cap["policy_version"]) == ("app", "web", stored["version"])
