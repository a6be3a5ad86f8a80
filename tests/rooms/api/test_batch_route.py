"""Many reservations in one call: each is what it would have been alone."""

from typing import Any

import httpx
import pytest
from msgspec import json

from atp.dev.valkey import Valkey
from tests.support import hurried

from .conftest import Api, assert_problem, served

pytestmark = pytest.mark.anyio


def wanted(sku: str, quantity: int = 1, **more: Any) -> dict[str, Any]:
    return {"lines": [{"sku": sku, "quantity": quantity}], **more}


async def batch(api: Api, items: list[Any], key: str = "k") -> httpx.Response:
    headers = {"idempotency-key": key}
    return await api.send("POST", "/v1/reservations/batch", json={"reservations": items}, headers=headers)


async def results(api: Api, items: list[Any], key: str = "k") -> list[dict[str, Any]]:
    answer = await batch(api, items, key)
    assert answer.status_code == 200, answer.text
    return answer.json()["results"]


async def test_a_result_each_in_the_order_asked(api: Api) -> None:
    await api.stock("A", 3)
    await api.stock("B", 1)
    found = await results(api, [wanted("A", 2), wanted("B", 5), wanted("B"), wanted("A", 1, dry_run=True)])
    assert [one["status"] for one in found] == [201, 409, 201, 200]
    assert [one.keys() - {"status"} for one in found] == [
        {"reservation"},
        {"problem"},
        {"reservation"},
        {"reservation"},
    ]
    assert found[0]["reservation"]["lines"][0]["held"] == 2
    problem = found[1]["problem"]
    assert problem["type"].endswith(":insufficient-availability")
    assert problem["errors"][0]["pointer"] == "/reservations/1/lines/0"
    assert problem["errors"][0]["available"] == 1
    assert "id" not in found[3]["reservation"]
    assert (await api.ats("A"), await api.ats("B")) == (1, 0)


async def test_an_item_acts_under_a_key_of_its_own(api: Api) -> None:
    await api.stock("A", 9)
    found = await results(api, [wanted("A"), wanted("A", 2)])
    again = await results(api, [wanted("A"), wanted("A", 3)])
    assert [one["status"] for one in again] == [201, 422]
    assert again[0]["replayed"] is True
    assert again[0]["reservation"]["id"] == found[0]["reservation"]["id"]
    alone = await api.reserve("A", 2, headers={"idempotency-key": "k/1"})
    assert (alone.status_code, alone.headers["idempotency-replayed"]) == (201, "true")
    assert alone.json()["id"] == found[1]["reservation"]["id"]
    assert await api.ats("A") == 6


async def test_a_remembered_refusal_is_marked(api: Api) -> None:
    await api.stock("A", 0)
    assert "replayed" not in (await results(api, [wanted("A")]))[0]
    (again,) = await results(api, [wanted("A")])
    assert (again["status"], again["replayed"]) == (409, True)


async def test_wrong_items_do_not_concern_the_others(api: Api) -> None:
    await api.stock("A", 9)
    bound = await api.add_client("market", ["reservations:write"], ["market"])
    good = wanted("A", channel="market")
    wrong: list[tuple[Any, int, str]] = [
        (None, 400, ""),
        (5, 400, ""),
        ([], 400, ""),
        ({}, 400, "/lines"),
        (wanted("A", 0), 400, "/lines/0/quantity"),
        (wanted("A\0"), 400, "/lines/0/sku"),
        (wanted("A", campaign="x", channel="market"), 400, "/campaign"),
        (wanted("A", replaces="x", channel="market"), 400, "/replaces"),
        (wanted("A", price=3), 400, "/price"),
    ]
    items = [good, *(each for each, _, _ in wrong), wanted("A", channel="web"), good]
    answer = await api.send("POST", "/v1/reservations/batch", key=bound, json={"reservations": items})
    found = answer.json()["results"]
    assert [found[0]["status"], found[-1]["status"]] == [201, 201]
    for index, (one, (_, status, pointer)) in enumerate(zip(found[1:], wrong, strict=False), 1):
        assert one["status"] == one["problem"]["status"] == status
        assert one["problem"]["errors"][0]["pointer"] == f"/reservations/{index}{pointer}"
    assert found[-2]["problem"]["type"].endswith(":channel-not-allowed")
    assert await api.ats("A") == 7


async def test_a_key_that_appears_twice_in_an_item(api: Api) -> None:
    await api.stock("A", 9)
    twice = '{"lines":[{"sku":"A","quantity":1,"quantity":5}]}'
    content = f'{{"reservations":[{twice},{json.encode(wanted("A")).decode()}]}}'
    headers = {"content-type": "application/json"}
    answer = await api.send("POST", "/v1/reservations/batch", content=content, headers=headers)
    first, second = answer.json()["results"]
    assert (first["status"], second["status"]) == (400, 201)
    assert first["problem"]["errors"][0]["pointer"] == "/reservations/0/lines/0/quantity"


#: body → pointer of the first error
BAD = {
    "": "",
    "[]": "",
    "{}": "/reservations",
    '{"reservations":[]}': "/reservations",
    '{"reservations":{}}': "/reservations",
    '{"reservations":null}': "/reservations",
    '{"reservations":[{}],"more":1}': "/more",
    '{"reservations":[{}],"reservations":[{}]}': "/reservations",
    '{"reservations":[{]}': "",
    '{"reservations":[{"a":NaN}]}': "",
    '{"reservations":[{"a":"\\ud800"}]} x': "",
    '{"reservations":' + "[" * 50_000: "",
    '{"reservations":[' + "[" * 50_000 + "]" * 50_000 + "]}": "",
    '{"reservations":[' + ",".join(["{}"] * 101) + "]}": "/reservations",
}


async def test_batches_of_a_wrong_shape(api: Api) -> None:
    before = (await api.ledger.heads())[0].seq
    for body, pointer in BAD.items():
        headers = {"content-type": "application/json"}
        answer = await api.send("POST", "/v1/reservations/batch", content=body, headers=headers)
        problem = assert_problem(answer, 400, "invalid-request")
        assert problem["errors"][0]["pointer"] == pointer, (body[:100], problem)
    assert (await api.ledger.heads())[0].seq == before


async def test_a_hundred_items_and_the_length_of_their_keys(api: Api) -> None:
    await api.stock("A", 1000)
    found = await results(api, [wanted("A") for _ in range(100)], key="x" * 252)
    assert [one["status"] for one in found] == [201] * 100
    assert len({one["reservation"]["id"] for one in found}) == 100
    assert_problem(await batch(api, [wanted("A")] * 11, "x" * 253), 400, "idempotency-key-missing")
    assert (await batch(api, [wanted("A")] * 10, "x" * 253)).status_code == 200
    assert_problem(await batch(api, [wanted("A")], "x" * 254), 400, "idempotency-key-missing")
    assert await api.ats("A") == 1000 - 110


async def test_batches_may_be_larger_than_one_reservation_but_not_endless(api: Api) -> None:
    await api.stock("A", 1000)
    large = wanted("A", metadata={"k": "x" * 450}, order_ref="r" * 128, customer="c" * 128)
    assert {one["status"] for one in await results(api, [large] * 100)} == {201}
    too_large = {"lines": [{"sku": "S" * 64, "quantity": 1, "line_id": f"{n:064}"} for n in range(100)]}
    assert_problem(await batch(api, [too_large] * 20), 413, "too-large")


async def test_items_of_several_partitions(valkey: str, namespace: str) -> None:
    async with served(valkey, namespace, partitions=4) as api:
        skus = [f"S{n}" for n in range(12)]
        for sku in skus:
            await api.stock(sku, 1)
        basket = {"lines": [{"sku": sku, "quantity": 1} for sku in skus]}
        found = await results(api, [*map(wanted, skus), basket])
        assert sorted(one["status"] for one in found) == [201] * 12 + [409]  # or the basket's own, whoever came first


async def test_without_the_ledger_each_item_says_so(tmp_path: Any, namespace: str) -> None:
    with Valkey(tmp_path) as server:
        async with served(server.url, namespace) as api:
            await api.stock("A", 5)
            server.stop()
            with hurried(api.ledger, command_deadline_s=1.0):
                found = await results(api, [wanted("A"), wanted("A", 0)])
            for one in found:
                assert one["status"] == one["problem"]["status"]
                assert one["status"] in {400, 503}
            server.start()
