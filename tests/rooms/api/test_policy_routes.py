"""Policies over HTTP: replaced as a whole, with versions that guard against another writer."""

from typing import Any

import pytest

from .conftest import Api, assert_problem

pytestmark = pytest.mark.anyio

LOCATION = {
    "kind": "store",
    "priority": 3,
    "groups": ["east"],
    "active": True,
    "timezone": "Europe/Berlin",
    "sources": [{"source": "pos", "role": "adjuster"}, {"source": "erp", "role": "authority"}],
}


async def put(api: Api, path: str, body: Any, **headers: str) -> Any:
    return await api.send("PUT", path, key=api.admin, json=body, headers=headers)


async def get(api: Api, path: str) -> Any:
    return await api.send("GET", path, key=api.admin)


async def test_what_was_put_is_what_is_got(api: Api) -> None:
    stored = await put(api, "/v1/locations/DC1", LOCATION)
    assert stored.status_code == 200
    version = stored.json()["version"]
    assert stored.json() == {"id": "DC1", **LOCATION, "version": version}
    got = await get(api, "/v1/locations/DC1")
    assert got.json() == stored.json()
    assert got.headers["etag"] == stored.headers["etag"] == f'"{version}"'


async def test_defaults_are_shown(api: Api) -> None:
    got = (await put(api, "/v1/locations/DC1", {"kind": "warehouse"})).json()
    assert (got["priority"], got["groups"], got["active"], got["timezone"], got["sources"]) == (0, [], True, "UTC", [])
    got = (await put(api, "/v1/sources/erp", {"kind": "erp"})).json()
    assert got.pop("policy_version")
    assert got == {
        "id": "erp",
        "kind": "erp",
        "measure": "on_hand",
        "full_guard_percent": 20,
        "stale_after_seconds": 900,
    }


async def test_lists_are_ordered_by_id(api: Api) -> None:
    for id in ("b", "c", "a"):
        await put(api, f"/v1/locations/{id}", {"kind": "store"})
        await put(api, f"/v1/sources/{id}", {"kind": "store", "version": "sequence"})
    locations = (await get(api, "/v1/locations")).json()["locations"]
    sources = (await get(api, "/v1/sources")).json()["sources"]
    assert [each["id"] for each in locations] == [each["id"] for each in sources] == ["a", "b", "c"]
    assert sources[0]["version"] == "sequence"


async def test_if_match_guards_against_another_writer(api: Api) -> None:
    for path, body in (
        ("/v1/locations/DC1", {"kind": "store"}),
        ("/v1/items/A", {"safety_stock": 1}),
        ("/v1/sources/erp", {"kind": "erp"}),
    ):
        assert_problem(await put(api, path, body, **{"if-match": "*"}), 412, "version-mismatch")
        created = await put(api, path, body, **{"if-none-match": "*"})
        assert created.status_code == 200, created.text
        assert_problem(await put(api, path, body, **{"if-none-match": "*"}), 412, "version-mismatch")
        tag = created.headers["etag"]
        replaced = await put(api, path, body, **{"if-match": tag})
        assert replaced.status_code == 200
        assert replaced.headers["etag"] != tag
        problem = assert_problem(await put(api, path, body, **{"if-match": tag}), 412, "version-mismatch")
        assert replaced.headers["etag"].strip('"') in problem["detail"]
        assert (await put(api, path, body, **{"if-match": "*"})).status_code == 200
        assert_problem(await put(api, path, body, **{"if-match": "some"}), 400, "invalid-request")


async def test_what_was_never_put_is_not_found(api: Api) -> None:
    for path in ("/v1/locations/x", "/v1/items/x", "/v1/sources/x"):
        assert_problem(await get(api, path), 404, "not-found")


@pytest.mark.parametrize(
    ("path", "body", "pointer"),
    [
        ("/v1/locations/x", {}, "/kind"),
        ("/v1/locations/x", {"kind": "shed"}, "/kind"),
        ("/v1/locations/x", {"kind": "store", "priority": -1}, "/priority"),
        ("/v1/locations/x", {"kind": "store", "priority": "1"}, "/priority"),
        ("/v1/locations/x", {"kind": "store", "groups": ["a", "\x00"]}, "/groups/1"),
        ("/v1/locations/x", {"kind": "store", "sources": [{"source": "a", "role": "boss"}]}, "/sources/0/role"),
        (
            "/v1/locations/x",
            {"kind": "store", "sources": [{"source": s, "role": "authority"} for s in "ab"]},
            "/sources",
        ),
        (
            "/v1/locations/x",
            {"kind": "store", "sources": [{"source": "a", "role": "shadow"}] * 2},
            "/sources/1/source",
        ),
        ("/v1/locations/x", {"kind": "store", "color": "red"}, "/color"),
        ("/v1/items/x", {"safety_stock": -1}, "/safety_stock"),
        ("/v1/items/x", {"safety_stock_by_location": {"a/b\n": 1}}, "/safety_stock_by_location/a~1b\n"),
        ("/v1/items/x", {"safety_stock_by_location": {"DC1": -1}}, "/safety_stock_by_location/DC1"),
        ("/v1/sources/x", {"kind": "erp", "version": None}, "/version"),
        ("/v1/sources/x", {"kind": "erp", "stale_after_seconds": 0}, "/stale_after_seconds"),
    ],
)
async def test_policies_that_are_wrong(api: Api, path: str, body: dict, pointer: str) -> None:
    problem = assert_problem(await put(api, path, body), 400, "invalid-request")
    assert problem["errors"][0]["pointer"] == pointer
    assert_problem(await get(api, path), 404, "not-found")
