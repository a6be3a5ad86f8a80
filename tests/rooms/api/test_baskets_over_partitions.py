"""Baskets whose skus live in several partitions of the ledger: for callers, reservations like any other (R3)."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from atp.domain.commands import OpenBasket, Reserve, ReserveLine
from atp.domain.ids import partition_of, reservation_id, reservation_partition

from .conftest import Api, assert_problem, served

pytestmark = pytest.mark.anyio

#: One sku in each of the four partitions.
SKUS = sorted({partition_of(f"S{n}", 4): f"S{n}" for n in range(40)}.values())


@pytest.fixture
async def api(valkey: str, namespace: str) -> AsyncIterator[Api]:
    async with served(valkey, namespace, partitions=4) as api:
        for sku in SKUS:
            await api.stock(sku, 3)
        yield api


def basket(quantity: int = 1, **more: Any) -> dict[str, Any]:
    return {"lines": [{"sku": sku, "quantity": quantity} for sku in SKUS]} | more


async def test_a_basket_is_held_confirmed_and_released(api: Api) -> None:
    headers = {"idempotency-key": "k"}
    held = await api.reserve("", body=basket(2), headers=headers)
    assert held.status_code == 201, held.text
    id = held.json()["id"]
    assert [line["held"] for line in held.json()["lines"]] == [2, 2, 2, 2]
    assert [await api.ats(sku) for sku in SKUS] == [1, 1, 1, 1]
    again = await api.reserve("", body=basket(2), headers=headers)
    assert (again.status_code, again.headers["idempotency-replayed"]) == (201, "true")
    assert again.json()["lines"] == held.json()["lines"]
    assert_problem(await api.reserve("", body=basket(1), headers=headers), 422, "idempotency-key-reused")
    confirmed = await api.send("POST", f"/v1/reservations/{id}/confirm", json={"order_ref": "A-1"})
    assert confirmed.json()["state"] == "committed"
    assert (await api.send("GET", f"/v1/reservations/{id}")).json()["lines"] == confirmed.json()["lines"]
    released = await api.send("POST", f"/v1/reservations/{id}/release")
    assert released.json()["state"] == "released"


async def test_a_refusal_points_at_the_short_lines(api: Api) -> None:
    await api.stock(SKUS[3], 1)
    await api.stock(SKUS[1], 0)
    problem = assert_problem(await api.reserve("", body=basket(2)), 409, "insufficient-availability")
    assert [(e["pointer"], e["sku"], e["available"]) for e in problem["errors"]] == [
        ("/lines/1", SKUS[1], 0),
        ("/lines/3", SKUS[3], 1),
    ]
    assert [await api.ats(sku) for sku in SKUS] == [3, 0, 3, 1]
    partly = await api.reserve("", body=basket(2, allow_partial=True))
    assert [line["held"] for line in partly.json()["lines"]] == [2, 0, 2, 1]


async def test_a_dry_run_is_a_quote(api: Api) -> None:
    quote = await api.reserve("", body=basket(2, dry_run=True))
    assert quote.status_code == 200
    assert [line["quantity"] for line in quote.json()["lines"]] == [2, 2, 2, 2]
    assert [await api.ats(sku) for sku in SKUS] == [3, 3, 3, 3]


async def test_one_location_for_lines_of_several_partitions_is_not_offered(api: Api) -> None:
    assert_problem(await api.reserve("", body=basket(allow_split=False)), 400, "invalid-request")
    located = [{"sku": sku, "quantity": 1, "location": "DC1"} for sku in SKUS]
    answer = await api.reserve("", body={"lines": located, "allow_split": False})
    assert answer.status_code == 201, answer.text


async def test_a_basket_under_way_is_neither_there_nor_unknown(api: Api) -> None:
    """Its coordinator opened it at home and went no further."""
    id = reservation_id("shop", "k", min(SKUS))
    lines = [ReserveLine(str(n), sku, 1) for n, sku in enumerate(SKUS, 1)]
    home = reservation_partition(id, 4)
    assert home is not None
    foreign = [sku for sku in SKUS if partition_of(sku, 4) != home]
    command = Reserve(id, 7, "shop", "default", "", "", "", "", 600_000, lines)
    await api.ledger.spanning.baskets.ask(home, OpenBasket(1, 60_000, foreign, command), 0.0)
    assert_problem(await api.send("GET", f"/v1/reservations/{id}"), 409, "idempotency-in-progress")
