"""A person's correction over HTTP: at once, once, journaled with who and why."""

import asyncio
from typing import Any

import httpx
import pytest

from atp.domain.commands import Level
from atp.domain.entries import Adjusted

from .conftest import Api, assert_problem, served

pytestmark = pytest.mark.anyio

BODY = {"sku": "A", "location": "DC1", "quantity": -2, "reason": "two broken"}


async def adjust(api: Api, key: str = "", **rest: Any) -> httpx.Response:
    options: dict[str, Any] = {"headers": {"idempotency-key": key}} if key else {}
    return await api.send("POST", "/v1/stock/adjust", json=BODY | rest, **options)


async def test_a_correction_counts_at_once_and_until_the_next_level(api: Api) -> None:
    await api.stock("A", 10)
    answer = await adjust(api)
    assert answer.status_code == 200, answer.text
    assert answer.json() == BODY | {"position": (await api.send("GET", "/v1/availability/A")).json()["position"]}
    assert await api.ats("A") == 8
    (told,) = [e for e in await api.ledger.read_entries(0, 0, 100) if isinstance(e, Adjusted)]
    assert (told.client, told.reason, told.quantity, told.number) == ("shop", "two broken", -2, 8)
    await api.stock("A", 9)
    assert await api.ats("A") == 9


async def test_one_key_is_one_correction(api: Api) -> None:
    await api.stock("A", 10)
    answers = await asyncio.gather(*(adjust(api, "k") for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 1
    assert sorted(answer.headers.get("idempotency-replayed", "") for answer in answers) == [""] + ["true"] * 19
    assert await api.ats("A") == 8
    await api.stock("A", 8)
    assert (await adjust(api, "k")).text == answers[0].text
    assert await api.ats("A") == 8
    problem = assert_problem(await adjust(api, "k", quantity=-3), 422, "idempotency-key-reused")
    assert problem["detail"]
    other = await api.add_client("other", ["stock:write"])
    answer = await api.send("POST", "/v1/stock/adjust", json=BODY, key=other, headers={"idempotency-key": "k"})
    assert answer.status_code == 200  # its own key
    assert await api.ats("A") == 6


async def test_any_partition(valkey: str, namespace: str) -> None:
    async with served(valkey, namespace, partitions=4) as api:
        skus = [f"sku-{n}" for n in range(12)]
        for sku in skus:
            await api.stock(sku, 5)
            answer = await adjust(api, sku=sku, quantity=3)
            assert answer.json()["position"] == (await api.send("GET", f"/v1/availability/{sku}")).json()["position"]
            assert await api.ats(sku) == 8


async def test_wrong_corrections(api: Api) -> None:
    await api.stock("A", 10)
    before = (await api.ledger.heads())[0].seq
    bad: list[tuple[dict[str, Any], str]] = [
        ({"quantity": 0}, "/quantity"),
        ({"quantity": 1.5}, "/quantity"),
        ({"quantity": "1"}, "/quantity"),
        ({"quantity": 10**9 + 1}, "/quantity"),
        ({"quantity": -(10**9) - 1}, "/quantity"),
        ({"reason": ""}, "/reason"),
        ({"reason": "x" * 257}, "/reason"),
        ({"reason": "a\0"}, "/reason"),
        ({"sku": ""}, "/sku"),
        ({"sku": "a\n"}, "/sku"),
        ({"location": "x" * 65}, "/location"),
        ({"location": "MARS"}, "/location"),
        ({"source": "wms"}, "/source"),
    ]
    for change, pointer in bad:
        problem = assert_problem(await adjust(api, **change), 400, "invalid-request")
        assert problem["errors"][0]["pointer"] == pointer, (change, problem)
    assert (await api.ledger.heads())[0].seq == before
    await api.send("PUT", "/v1/locations/DC7", json={"kind": "store"}, key=api.admin)
    problem = assert_problem(await adjust(api, location="DC7"), 400, "invalid-request")
    assert "no source" in problem["detail"].lower()


async def test_who_may(api: Api) -> None:
    await api.stock("A", 10)
    bound = await api.add_client("adapter", ["stock:write"], sources=["wms"])
    reader = await api.add_client("reader", ["availability:read"])
    for key in (bound, reader, api.admin):
        assert_problem(await api.send("POST", "/v1/stock/adjust", json=BODY, key=key), 403, "forbidden")
    headers = {"idempotency-key": ""}
    assert_problem(
        await api.send("POST", "/v1/stock/adjust", json=BODY, headers=headers), 400, "idempotency-key-missing"
    )
    assert await api.ats("A") == 10


async def test_the_explanation_adds_up(api: Api) -> None:
    await api.stock("A", 10)
    await api.ledger.apply([Level("A", "DC1", "erp", 3, "sequence", (0, 1), "", 0, 0)])
    await adjust(api)
    answer = (await api.send("GET", "/v1/availability/A?explain=true")).json()
    (at,) = answer["explain"]["locations"]
    assert sum(term["quantity"] for term in at["terms"]) == at["free"] == 8
