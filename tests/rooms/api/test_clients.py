"""Clients and keys over HTTP: a key is shown once, two live at most, and a revoked one is refused by every process."""

import asyncio

import httpx
import pytest

from atp.api import ApiSettings
from tests.support import wait_until_async

from .conftest import Api, assert_problem, served

pytestmark = pytest.mark.anyio

SHOP = {"id": "shop-2", "scopes": ["availability:read"]}


async def admin(api: Api, method: str, path: str, **options: object) -> httpx.Response:
    return await api.send(method, f"/v1/clients{path}", key=api.admin, **options)


async def works(api: Api, key: str) -> bool:
    return (await api.send("GET", "/v1/availability/A", key=key)).status_code == 200


async def test_a_client_and_its_two_keys(api: Api) -> None:
    made = await admin(api, "POST", "", json=SHOP)
    assert made.status_code == 201
    assert made.json()["keys"] == []
    first = await admin(api, "POST", "/shop-2/keys")
    assert first.status_code == 201
    assert first.headers["cache-control"] == "no-store"
    key = first.json()["key"]
    assert len(key) >= 12 + 5 + 43  # the secret has 256 bits
    assert await works(api, key)
    second = (await admin(api, "POST", "/shop-2/keys")).json()
    assert await works(api, second["key"])
    assert await works(api, key)
    refused = assert_problem(await admin(api, "POST", "/shop-2/keys"), 409, "limit-exceeded")
    assert second["prefix"] in refused["detail"]

    seen = await admin(api, "GET", "/shop-2")
    assert [each["prefix"] for each in seen.json()["keys"]] == [first.json()["prefix"], second["prefix"]]
    everything = (await admin(api, "GET", "")).text + seen.text
    assert key not in everything
    assert "sha256" not in everything
    stored = await api.ledger.policy("client", "shop-2")
    assert stored
    assert key not in stored.body

    assert (await admin(api, "DELETE", f"/shop-2/keys/{second['prefix']}")).status_code == 204
    assert_problem(await admin(api, "DELETE", f"/shop-2/keys/{second['prefix']}"), 404, "not-found")
    assert (await admin(api, "POST", "/shop-2/keys")).status_code == 201


async def test_a_revoked_key_is_refused_by_every_process_within_five_seconds(valkey: str, namespace: str) -> None:
    assert ApiSettings().clients_check_s <= 1  # the rest is for a machine that is slow, or stands still
    async with served(valkey, namespace) as one, served(valkey, namespace, beside=one) as other:
        await admin(one, "POST", "", json=SHOP)
        made = (await admin(one, "POST", "/shop-2/keys")).json()
        assert await works(one, made["key"])
        await wait_until_async(lambda: works(other, made["key"]), description="the other process knows it")
        answers = await asyncio.gather(*(admin(x, "DELETE", f"/shop-2/keys/{made['prefix']}") for x in (one, other)))
        assert sorted(answer.status_code for answer in answers) in ([204, 204], [204, 404])

        async def refused() -> bool:
            return not await works(one, made["key"]) and not await works(other, made["key"])

        await wait_until_async(refused, description="both refuse it")


async def test_what_a_client_may_do_is_replaced_and_its_keys_stay(api: Api) -> None:
    version = (await admin(api, "POST", "", json=SHOP)).json()["version"]
    key = (await admin(api, "POST", "/shop-2/keys")).json()["key"]
    body = {"scopes": ["reservations:write"], "channels": ["web"]}
    stale = await admin(api, "PUT", "/shop-2", json=body, headers={"if-match": f'"{version}"'})
    assert_problem(stale, 412, "version-mismatch")
    put = await admin(api, "PUT", "/shop-2", json=body)
    assert (put.json()["scopes"], put.json()["channels"], len(put.json()["keys"])) == (*body.values(), 1)

    async def narrowed() -> bool:
        return (await api.send("GET", "/v1/availability/A", key=key)).status_code == 403

    await wait_until_async(narrowed, description="the scope is gone")
    await admin(api, "PUT", "/shop-2", json={"scopes": ["availability:read"], "disabled": True})

    async def refused() -> bool:
        return (await api.send("GET", "/v1/availability/A", key=key)).status_code == 401

    await wait_until_async(refused, description="the client is disabled")


async def test_a_deleted_client_is_gone_and_may_be_made_again(api: Api) -> None:
    await admin(api, "POST", "", json=SHOP)
    key = (await admin(api, "POST", "/shop-2/keys")).json()["key"]
    assert_problem(await admin(api, "POST", "", json=SHOP), 409, "already-exists")
    assert (await admin(api, "DELETE", "/shop-2")).status_code == 204
    assert_problem(await admin(api, "DELETE", "/shop-2"), 404, "not-found")
    assert_problem(await admin(api, "GET", "/shop-2"), 404, "not-found")
    assert_problem(await admin(api, "POST", "/shop-2/keys"), 404, "not-found")
    assert_problem(await admin(api, "PUT", "/shop-2", json={"scopes": ["admin"]}), 404, "not-found")
    assert "shop-2" not in [each["id"] for each in (await admin(api, "GET", "")).json()["clients"]]

    async def refused() -> bool:
        return not await works(api, key)

    await wait_until_async(refused, description="its keys are refused")
    assert (await admin(api, "POST", "", json=SHOP)).json()["keys"] == []


async def test_bad_clients(api: Api) -> None:
    for body, pointer in (
        ({"scopes": ["admin"]}, "/id"),
        ({"id": "", "scopes": ["admin"]}, "/id"),
        ({"id": "a\x00", "scopes": ["admin"]}, "/id"),
        ({"id": "x", "scopes": []}, "/scopes"),
        ({"id": "x", "scopes": ["everything"]}, "/scopes/0"),
        ({"id": "x", "scopes": ["admin", "admin"]}, "/scopes"),
        ({"id": "x", "scopes": ["admin"], "channels": ["\u0007"]}, "/channels/0"),
        ({"id": "x", "scopes": ["admin"], "keys": [{"prefix": "a", "sha256": "b", "created_at": ""}]}, "/keys"),
        ({"id": "x", "scopes": ["admin"], "deleted": True}, "/deleted"),
    ):
        problem = assert_problem(await admin(api, "POST", "", json=body), 400, "invalid-request")
        assert problem["errors"][0]["pointer"] == pointer, body


async def test_only_as_many_keys_as_there_may_be_when_all_ask_at_once(api: Api) -> None:
    await admin(api, "POST", "", json=SHOP)
    answers = await asyncio.gather(*(admin(api, "POST", "/shop-2/keys") for _ in range(8)))
    assert sorted(answer.status_code for answer in answers)[:2] == [201, 201]
    assert sum(answer.status_code == 201 for answer in answers) == 2
    assert len((await admin(api, "GET", "/shop-2")).json()["keys"]) == 2
