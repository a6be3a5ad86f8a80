"""What a reserve may ask for beside its lines: part of it, one location, no effect, and another hold's units."""

from typing import Any
from uuid import uuid4

import pytest

from atp.domain.ids import partition_of
from tests.support import wait_until_async

from .conftest import Api, assert_problem, served

pytestmark = pytest.mark.anyio


def lines(*wanted: tuple[str, int]) -> dict:
    return {"lines": [{"sku": sku, "quantity": quantity} for sku, quantity in wanted]}


async def seq(api: Api) -> int:
    return (await api.ledger.heads())[0].seq


async def test_a_partial_grant_shows_every_line(api: Api) -> None:
    await api.stock("A", 2)
    await api.stock("B", 0)
    body = lines(("A", 5), ("B", 1)) | {"allow_partial": True}
    headers = {"idempotency-key": "k"}
    answer = await api.reserve("A", body=body, headers=headers)
    assert answer.status_code == 201
    first, second = answer.json()["lines"]
    assert (first["requested"], first["quantity"], first["held"]) == (5, 2, 2)
    assert first["allocations"] == [{"location": "DC1", "quantity": 2, "supply": "on_hand"}]
    assert (second["requested"], second["quantity"], second["allocations"]) == (1, 0, [])
    again = await api.reserve("A", body=body, headers=headers)
    assert (again.status_code, again.headers["idempotency-replayed"]) == (201, "true")
    assert again.json()["lines"] == answer.json()["lines"]
    got = await api.send("GET", f"/v1/reservations/{answer.json()['id']}")
    assert got.json()["lines"] == answer.json()["lines"]


async def test_a_partial_grant_of_nothing_is_a_refusal_with_figures(api: Api) -> None:
    await api.stock("A", 0)
    answer = await api.reserve("A", 2, body={"allow_partial": True})
    (fault,) = assert_problem(answer, 409, "insufficient-availability")["errors"]
    assert (fault["pointer"], fault["requested"], fault["available"]) == ("/lines/0", 2, 0)


async def test_units_that_must_not_be_split(api: Api) -> None:
    await api.stock("A", 3, "DC1")
    await api.stock("A", 2, "DC2")
    refused = await api.reserve("A", 4, body={"allow_split": False})
    (fault,) = assert_problem(refused, 409, "insufficient-availability")["errors"]
    assert fault["available"] == 3
    assert len((await api.reserve("A", 4)).json()["lines"][0]["allocations"]) == 2


async def test_a_dry_run_answers_and_stores_nothing(api: Api) -> None:
    await api.stock("A", 3)
    before = await seq(api)
    headers = {"authorization": f"Bearer {api.key}"}  # and no Idempotency-Key
    body = lines(("A", 2)) | {"dry_run": True, "channel": "web", "metadata": {"k": "v"}}
    answer = await api.http.post("/v1/reservations", json=body, headers=headers)
    assert answer.status_code == 200
    quote = answer.json()
    assert quote.keys().isdisjoint({"id", "position"})
    assert (quote["state"], quote["channel"], quote["metadata"]) == ("held", "web", {"k": "v"})
    assert quote["lines"][0]["held"] == 2
    assert (await seq(api), await api.ats("A")) == (before, 3)


async def test_a_dry_run_leaves_its_key_unused(api: Api) -> None:
    await api.stock("A", 1)
    headers = {"idempotency-key": "k"}
    for quantity, status in ((1, 200), (1, 200), (2, 409)):
        answer = await api.reserve("A", quantity, body={"dry_run": True}, headers=headers)
        assert answer.status_code == status
        assert "idempotency-replayed" not in answer.headers
    real = await api.reserve("A", 1, headers=headers)
    assert real.status_code == 201
    assert (await api.reserve("A", 1, body={"dry_run": True}, headers=headers)).status_code == 409


async def test_a_dry_run_that_would_be_refused_says_why(api: Api) -> None:
    await api.stock("A", 1)
    answer = await api.reserve("A", 3, body={"dry_run": True})
    (fault,) = assert_problem(answer, 409, "insufficient-availability")["errors"]
    assert fault["largest_quantity"] == 1
    unknown = {"lines": [{"sku": "A", "quantity": 1, "location": "nowhere"}], "dry_run": True}
    problem = assert_problem(await api.reserve("A", body=unknown), 400, "invalid-request")
    assert problem["errors"][0]["pointer"] == "/lines/0/location"


async def test_a_replacement_takes_over_the_units(api: Api) -> None:
    await api.stock("A", 2)
    old = (await api.reserve("A", 2)).json()["id"]
    headers = {"idempotency-key": "k"}
    dry = await api.reserve("A", 2, body={"replaces": old, "dry_run": True})
    assert (dry.status_code, await api.ats("A")) == (200, 0)
    new = await api.reserve("A", 1, body={"replaces": old}, headers=headers)
    assert new.status_code == 201
    assert (await api.send("GET", f"/v1/reservations/{old}")).json()["state"] == "released"
    assert await api.ats("A") == 1
    again = await api.reserve("A", 1, body={"replaces": old}, headers=headers)
    assert (again.status_code, again.headers["idempotency-replayed"]) == (201, "true")
    assert_problem(await api.reserve("A", 1, headers=headers), 422, "idempotency-key-reused")
    ignored = await api.reserve("A", 1, body={"replaces": old})  # ended: there is nothing to give back
    assert ignored.status_code == 201


async def test_a_refused_replacement_keeps_the_old_hold(api: Api) -> None:
    await api.stock("A", 2)
    old = (await api.reserve("A", 1)).json()["id"]
    assert_problem(await api.reserve("A", 5, body={"replaces": old}), 409, "insufficient-availability")
    assert (await api.send("GET", f"/v1/reservations/{old}")).json()["state"] == "held"


async def test_holds_that_cannot_be_replaced(api: Api) -> None:
    await api.stock("A", 9)
    other = await api.add_client("other", ["reservations:write"])
    foreign = (await api.reserve("A", key=other)).json()["id"]
    customers = (await api.reserve("A", body={"customer": "c-1"})).json()["id"]
    paid = (await api.reserve("A")).json()["id"]
    await api.send("POST", f"/v1/reservations/{paid}/confirm")
    before = await seq(api)
    for old, status, code in (
        (foreign, 404, "not-found"),
        (customers, 404, "not-found"),
        (paid, 409, "reservation-not-active"),
    ):
        problem = assert_problem(await api.reserve("A", body={"replaces": old}), status, code)
        assert [fault["pointer"] for fault in problem["errors"]] == ["/replaces"]
    assert await seq(api) == before


async def test_a_replacement_does_not_outlive_the_longest_hold(api: Api) -> None:
    await api.stock("A", 1)
    old = (await api.reserve("A")).json()["id"]
    answer = await api.reserve("A", body={"replaces": old, "ttl_seconds": 14_400})
    if answer.status_code == 201:  # both in the same millisecond
        answer = await api.reserve("A", body={"replaces": answer.json()["id"], "ttl_seconds": 14_400})
    assert_problem(answer, 409, "limit-exceeded")


async def test_replacing_over_partitions_is_refused_for_now(valkey: str, namespace: str) -> None:
    async with served(valkey, namespace, partitions=4) as api:
        first = "S0"
        same = next(sku for n in range(1, 99) if partition_of(sku := f"S{n}", 4) == partition_of(first, 4))
        other = next(sku for n in range(1, 99) if partition_of(sku := f"S{n}", 4) != partition_of(first, 4))
        for sku in (first, same, other):
            await api.stock(sku, 3)
        old = (await api.reserve(first)).json()["id"]
        problem = assert_problem(await api.reserve(other, body={"replaces": old}), 400, "invalid-request")
        assert problem["errors"][0]["pointer"] == "/replaces"
        assert "several partitions" in problem["errors"][0]["detail"]
        assert (await api.reserve(same, body={"replaces": old})).status_code == 201
        assert (await api.send("GET", f"/v1/reservations/{old}")).json()["state"] == "released"


async def test_a_refusal_by_a_hint_says_so_and_is_not_the_last_word(api: Api) -> None:
    await api.stock("A", 1)
    winner = await api.reserve("A")

    async def refused() -> bool:
        headers["idempotency-key"] = uuid4().hex
        answers.append(await api.reserve("A", headers=headers))
        return answers[-1].json().get("hint", False)

    answers: list[Any] = []
    headers: dict[str, str] = {}
    await wait_until_async(refused, description="a refusal by a hint")
    problem = assert_problem(answers[-1], 409, "insufficient-availability")
    (fault,) = problem["errors"]
    assert (fault["pointer"], fault["sku"], fault["requested"], fault["available"]) == ("/lines/0", "A", 1, 0)
    assert "largest_quantity" not in fault
    assert "hint" not in answers[0].json()  # who was refused first had it read
    await api.send("POST", f"/v1/reservations/{winner.json()['id']}/release", json={})
    assert (await api.reserve("A", headers=headers)).status_code == 201
