"""Reservations over HTTP: what is held, what a repeat answers, and what a refusal says."""

import asyncio

import pytest

from atp.domain.causes import Cause, cause_of
from tests.support import wait_until_async

from .conftest import Api, assert_problem

pytestmark = pytest.mark.anyio


async def test_a_reservation_has_the_shape_of_the_contract(api: Api) -> None:
    await api.stock("TSHIRT-M", 5)
    body = {"customer": "c-42", "order_ref": "A-1001", "channel": "web", "metadata": {"k": "v"}, "ttl_seconds": 600}
    answer = await api.reserve("TSHIRT-M", 2, body=body)
    assert answer.status_code == 201
    reservation = answer.json()
    assert len(reservation.pop("id")) == 19
    for time in ("expires_at", "created_at"):
        assert reservation.pop(time).endswith("Z")
    assert 598 <= reservation.pop("expires_in_seconds") <= 601
    assert reservation.pop("position").startswith("0:")
    assert reservation == {
        "state": "held",
        "channel": "web",
        "customer": "c-42",
        "order_ref": "A-1001",
        "campaign": None,
        "metadata": {"k": "v"},
        "lines": [
            {
                "line_id": "1",
                "sku": "TSHIRT-M",
                "requested": 2,
                "quantity": 2,
                "held": 2,
                "committed": 0,
                "acknowledged": 0,
                "fulfilled": 0,
                "released": 0,
                "expired": 0,
                "allocations": [{"location": "DC1", "quantity": 2, "supply": "on_hand"}],
            }
        ],
    }


async def test_a_repeat_answers_the_same_and_has_no_second_effect(api: Api) -> None:
    await api.stock("A", 5)
    first = await api.reserve("A", 2, headers={"idempotency-key": "k"})
    again = await api.reserve("A", 2, headers={"idempotency-key": "k"})
    assert (first.status_code, again.status_code) == (201, 201)
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert {**again.json(), "expires_in_seconds": 0} == {**first.json(), "expires_in_seconds": 0}
    assert await api.ats("A") == 3


async def test_a_key_with_another_body_is_refused(api: Api) -> None:
    await api.stock("A", 5)
    await api.reserve("A", 2, headers={"idempotency-key": "k"})
    assert_problem(await api.reserve("A", 3, headers={"idempotency-key": "k"}), 422, "idempotency-key-reused")
    assert await api.ats("A") == 3


async def test_two_clients_may_use_the_same_key(api: Api) -> None:
    await api.stock("A", 5)
    other = await api.add_client("other", ["reservations:write"])
    first = await api.reserve("A", 1, headers={"idempotency-key": "k"})
    second = await api.reserve("A", 1, headers={"idempotency-key": "k"}, key=other)
    assert first.json()["id"] != second.json()["id"]
    assert await api.ats("A") == 3


async def test_the_order_of_metadata_does_not_make_another_request(api: Api) -> None:
    await api.stock("A", 5)
    headers = {"idempotency-key": "k"}
    await api.reserve("A", 1, headers=headers, body={"metadata": {"a": "1", "b": "2"}})
    again = await api.reserve("A", 1, headers=headers, body={"metadata": {"b": "2", "a": "1"}})
    assert again.status_code == 201


async def test_one_of_two_gets_the_last_unit(api: Api) -> None:
    await api.stock("A", 1)
    answers = await asyncio.gather(*(api.reserve("A", 1) for _ in range(2)))
    assert sorted(answer.status_code for answer in answers) == [201, 409]
    assert await api.ats("A") == 0


async def test_a_refusal_says_per_line_what_there_is(api: Api) -> None:
    await api.stock("A", 2)
    await api.stock("B", 1, "DC1")
    await api.stock("B", 7, "DC2")
    await api.reserve("A", 1)
    body = {"lines": [{"sku": "A", "quantity": 3}, {"sku": "B", "quantity": 4, "location": "DC1"}]}
    headers = {"idempotency-key": "k"}
    answer = await api.send("POST", "/v1/reservations", json=body, headers=headers)
    problem = assert_problem(answer, 409, "insufficient-availability")
    first, second = problem["errors"]
    assert first["detail"]
    assert first["earliest_hold_expiry"].endswith("Z")
    assert {name: value for name, value in first.items() if name not in ("detail", "earliest_hold_expiry")} == {
        "pointer": "/lines/0",
        "sku": "A",
        "requested": 3,
        "available": 1,
        "largest_quantity": 1,
        "held_by_others": 1,
        "other_locations": [],
    }
    assert second["other_locations"] == [{"location": "DC2", "available": 7}]
    again = await api.send("POST", "/v1/reservations", json=body, headers=headers)
    assert again.status_code == 409
    assert again.headers["idempotency-replayed"] == "true"


async def test_confirm_release_and_extend(api: Api) -> None:
    await api.stock("A", 10)
    id = (await api.reserve("A", 4)).json()["id"]
    path = f"/v1/reservations/{id}"

    extended = await api.send("POST", f"{path}/extend", json={"ttl_seconds": 1200})
    assert extended.status_code == 200
    assert extended.json()["expires_in_seconds"] > 1100

    part = {"lines": [{"line_id": "1", "quantity": 3}], "order_ref": "A-1"}
    headers = {"idempotency-key": "c"}
    confirmed = await api.send("POST", f"{path}/confirm", json=part, headers=headers)
    again = await api.send("POST", f"{path}/confirm", json=part, headers=headers)
    assert confirmed.json()["lines"][0]["committed"] == again.json()["lines"][0]["committed"] == 3
    assert again.headers["idempotency-replayed"] == "true"
    assert_problem(await api.send("POST", f"{path}/confirm", headers=headers), 422, "idempotency-key-reused")

    released = await api.send("POST", f"{path}/release", json={"reason": "changed their mind"})
    assert released.json()["state"] == "committed"
    assert released.json()["lines"][0]["released"] == 1
    assert await api.ats("A") == 7

    got = await api.send("GET", path)
    assert got.status_code == 200
    assert got.json() == released.json()


async def test_whole_confirm_needs_no_body_and_is_idempotent_with_any_key(api: Api) -> None:
    await api.stock("A", 1)
    id = (await api.reserve("A")).json()["id"]
    first = await api.send("POST", f"/v1/reservations/{id}/confirm")
    second = await api.send("POST", f"/v1/reservations/{id}/confirm")
    assert first.json()["state"] == second.json()["state"] == "committed"
    assert second.headers["idempotency-replayed"] == "true"


async def test_refusals_of_changes(api: Api) -> None:
    await api.stock("A", 5)
    id = (await api.reserve("A", 2)).json()["id"]
    path = f"/v1/reservations/{id}"
    unknown = {"lines": [{"line_id": "1", "quantity": 1}, {"line_id": "9", "quantity": 1}]}
    problem = assert_problem(await api.send("POST", f"{path}/confirm", json=unknown), 400, "invalid-request")
    assert problem["errors"][0]["pointer"] == "/lines/1/line_id"
    too_many = {"lines": [{"line_id": "1", "quantity": 3}]}
    assert_problem(await api.send("POST", f"{path}/confirm", json=too_many), 409, "reservation-not-active")
    await api.send("POST", f"{path}/release")
    assert_problem(await api.send("POST", f"{path}/confirm"), 409, "reservation-not-active")
    assert_problem(await api.send("POST", f"{path}/extend", json={"ttl_seconds": 60}), 409, "reservation-not-active")


async def test_a_hold_ends_by_itself_and_cannot_be_confirmed(api: Api) -> None:
    await api.stock("A", 1)
    id = (await api.reserve("A", body={"ttl_seconds": 1})).json()["id"]

    async def expired() -> bool:
        return (await api.send("GET", f"/v1/reservations/{id}")).json()["state"] == "expired"

    await wait_until_async(expired, description="the hold expires")
    assert await api.ats("A") == 1
    assert_problem(await api.send("POST", f"/v1/reservations/{id}/confirm"), 409, "reservation-expired")
    got = (await api.send("GET", f"/v1/reservations/{id}")).json()
    assert got["expires_at"] is None
    assert got["lines"][0]["expired"] == 1


async def test_extending_beyond_the_longest_hold(api: Api) -> None:
    await api.stock("A", 1)
    id = (await api.reserve("A")).json()["id"]
    await asyncio.sleep(0.005)  # the clock moves on: now + 4 h is past the longest hold counted from its beginning
    answer = await api.send("POST", f"/v1/reservations/{id}/extend", json={"ttl_seconds": 14_400})
    assert_problem(answer, 409, "limit-exceeded")


@pytest.mark.parametrize("id", ["x", "0000000000000000000", "%00", "a" * 500, "ü"])
async def test_ids_that_are_none(api: Api, id: str) -> None:
    for answer in (
        await api.send("POST", f"/v1/reservations/{id}/confirm"),
        await api.send("POST", f"/v1/reservations/{id}/release"),
        await api.send("POST", f"/v1/reservations/{id}/extend", json={"ttl_seconds": 1}),
    ):
        assert answer.status_code in {400, 404}


async def test_an_unknown_location_is_pointed_at(api: Api) -> None:
    await api.stock("A", 1)
    body = {"lines": [{"sku": "A", "quantity": 1}, {"sku": "A", "quantity": 1, "location": "nowhere"}]}
    problem = assert_problem(await api.reserve("A", body=body), 400, "invalid-request")
    assert problem["errors"][0]["pointer"] == "/lines/1/location"


async def test_the_callers_deadline(api: Api) -> None:
    await api.stock("A", 3)
    for given, status in (("0", 503), ("1", 503), ("5000", 201), ("soon", 400), ("-5", 400)):
        answer = await api.reserve("A", headers={"x-request-timeout-ms": given})
        assert answer.status_code == status, answer.text
    assert await api.ats("A") == 2


async def test_entries_carry_the_callers_trace(api: Api) -> None:
    await api.stock("A", 5)
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    await api.reserve("A", headers={"traceparent": trace, "x-request-id": "r-1"})
    await api.reserve("A", headers={"traceparent": "nonsense", "x-request-id": "r-2"})
    await api.reserve("A")
    answer = await api.reserve("A")
    causes = [cause_of(entry.cause) for entry in await api.ledger.read_entries(0, 0, 1000)][-4:]
    key = api.key.split("_")[1]
    assert causes[0] == Cause(key=key, request="r-1", trace=trace)
    assert causes[1] == Cause(key=key, request="r-2")
    assert causes[3] == Cause(key=key, request=answer.headers["x-request-id"])
