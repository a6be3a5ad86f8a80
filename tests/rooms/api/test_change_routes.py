"""What happens to a reservation after it was made: confirm late, fulfil, acknowledge, transfer."""

from typing import Any

import httpx
import pytest

from tests.support import wait_until_async

from .conftest import Api, assert_problem

pytestmark = pytest.mark.anyio

MOVE = {"line_id": "1", "from": "DC1", "to": "DC2", "quantity": 2}


async def committed(api: Api, quantity: int = 4, stock: int = 10) -> str:
    """Path of a confirmed reservation of A at DC1; DC2 has stock as well."""
    await api.stock("A", stock, "DC1")
    await api.stock("A", stock, "DC2")
    body = {"lines": [{"sku": "A", "quantity": quantity, "location": "DC1"}]}
    path = f"/v1/reservations/{(await api.reserve('A', body=body)).json()['id']}"
    assert (await api.send("POST", f"{path}/confirm")).status_code == 200
    return path


async def expired(api: Api, sku: str = "A", quantity: int = 2) -> str:
    path = f"/v1/reservations/{(await api.reserve(sku, quantity, body={'ttl_seconds': 1})).json()['id']}"

    async def ended() -> bool:
        return (await api.send("GET", path)).json()["state"] == "expired"

    await wait_until_async(ended, description="the hold expires")
    return path


def line_of(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    (line,) = answer.json()["lines"]
    return line


async def test_expired_units_are_confirmed_if_they_are_still_there(api: Api) -> None:
    await api.stock("A", 2)
    path = await expired(api)
    assert_problem(await api.send("POST", f"{path}/confirm"), 409, "reservation-expired")
    taken = (await api.reserve("A", 1)).json()["id"]
    body, headers = {"reacquire": True}, {"idempotency-key": "k"}
    (fault,) = assert_problem(await api.send("POST", f"{path}/confirm", json=body), 409, "insufficient-availability")[
        "errors"
    ]
    assert {name: fault[name] for name in ("pointer", "line_id", "sku", "requested", "available")} == {
        "pointer": "/reacquire", "line_id": "1", "sku": "A", "requested": 2, "available": 1,
    }  # fmt: skip
    await api.send("POST", f"/v1/reservations/{taken}/release")
    confirmed = await api.send("POST", f"{path}/confirm", json=body, headers=headers)
    line = line_of(confirmed)
    assert (confirmed.json()["state"], line["committed"], line["expired"]) == ("committed", 2, 0)
    again = await api.send("POST", f"{path}/confirm", json=body, headers=headers)
    assert (again.json(), again.headers["idempotency-replayed"]) == (confirmed.json(), "true")
    assert await api.ats("A") == 0


async def test_reacquire_before_the_deadline_is_a_confirm(api: Api) -> None:
    await api.stock("A", 2)
    id = (await api.reserve("A", 2)).json()["id"]
    assert line_of(await api.send("POST", f"/v1/reservations/{id}/confirm", json={"reacquire": True}))["committed"] == 2


async def test_shipped_units_are_subtracted_until_the_source_shows_it(api: Api) -> None:
    path = await committed(api)
    part = {"lines": [{"line_id": "1", "quantity": 3}]}
    line = line_of(await api.send("POST", f"{path}/fulfil", json=part))
    assert (line["quantity"], line["committed"], line["fulfilled"]) == (4, 1, 3)
    got = (await api.send("GET", "/v1/availability/A?location=DC1")).json()
    (at,) = got["locations"]
    assert (got["ats"], at["on_hand"], at["committed"], at["shipped_uncounted"]) == (6, 10, 1, 3)
    whole = await api.send("POST", f"{path}/fulfil")
    assert (whole.json()["state"], whole.json()["expires_at"]) == ("fulfilled", None)


async def test_a_change_is_applied_once_per_key(api: Api) -> None:
    path = await committed(api)
    one = {"lines": [{"line_id": "1", "quantity": 1}]}
    for action, body in (("acknowledge", one), ("fulfil", one), ("transfer", {**MOVE, "quantity": 1})):
        headers = {"idempotency-key": action}
        first = await api.send("POST", f"{path}/{action}", json=body, headers=headers)
        again = await api.send("POST", f"{path}/{action}", json=body, headers=headers)
        assert first.status_code == 200
        assert "idempotency-replayed" not in first.headers
        assert (again.status_code, again.headers["idempotency-replayed"]) == (200, "true")
        assert again.json() == first.json()
        other = {**MOVE, "quantity": 2} if action == "transfer" else {"lines": [{"line_id": "1", "quantity": 2}]}
        changed = await api.send("POST", f"{path}/{action}", json=other, headers=headers)
        assert_problem(changed, 422, "idempotency-key-reused")
    line = line_of(await api.send("GET", path))
    assert (line["committed"], line["fulfilled"]) == (3, 1)


async def test_one_key_for_two_actions(api: Api) -> None:
    path = await committed(api)
    headers = {"idempotency-key": "k"}
    assert (await api.send("POST", f"{path}/acknowledge", headers=headers)).status_code == 200
    assert_problem(await api.send("POST", f"{path}/fulfil", headers=headers), 422, "idempotency-key-reused")


async def test_a_shipment_counts_once_whatever_the_key(api: Api) -> None:
    path = await committed(api)
    body = {"lines": [{"line_id": "1", "quantity": 2}], "shipment": "SHIP-77"}
    assert line_of(await api.send("POST", f"{path}/fulfil", json=body))["fulfilled"] == 2
    told_again = await api.send("POST", f"{path}/fulfil", json=body)
    assert line_of(told_again)["fulfilled"] == 2
    assert told_again.headers["idempotency-replayed"] == "true"
    assert line_of(await api.send("POST", f"{path}/fulfil", json={**body, "shipment": "SHIP-78"}))["fulfilled"] == 4


async def test_whole_forms_are_idempotent_with_any_key(api: Api) -> None:
    path = await committed(api)
    for action, state in (("acknowledge", "acknowledged"), ("fulfil", "fulfilled")):
        first = await api.send("POST", f"{path}/{action}")
        second = await api.send("POST", f"{path}/{action}", json={})
        assert first.json() == second.json()
        assert (first.json()["state"], second.headers["idempotency-replayed"]) == (state, "true")


async def test_acknowledged_units_count_as_before(api: Api) -> None:
    path = await committed(api)
    before = await api.ats("A")
    answer = await api.send("POST", f"{path}/acknowledge", json={"lines": [{"line_id": "1", "quantity": 3}]})
    line = line_of(answer)
    assert (answer.json()["state"], line["committed"], line["acknowledged"]) == ("committed", 4, 3)
    assert await api.ats("A") == before


async def test_units_move_to_another_location(api: Api) -> None:
    path = await committed(api, stock=4)
    await api.send("POST", f"{path}/acknowledge")
    answer = await api.send("POST", f"{path}/transfer", json=MOVE)
    line = line_of(answer)
    assert line["allocations"] == [
        {"location": "DC1", "quantity": 2, "supply": "on_hand"},
        {"location": "DC2", "quantity": 2, "supply": "on_hand"},
    ]
    assert (answer.json()["state"], line["committed"], line["acknowledged"]) == ("committed", 4, 2)
    moved = line_of(await api.send("POST", f"{path}/transfer", json=MOVE))
    assert moved["allocations"] == [{"location": "DC2", "quantity": 4, "supply": "on_hand"}]
    got = (await api.send("GET", "/v1/availability/A")).json()
    assert [(at["location"], at["committed"], at["ats"]) for at in got["locations"]] == [("DC1", 0, 4), ("DC2", 4, 0)]


async def test_moves_that_are_refused(api: Api) -> None:
    path = await committed(api, quantity=4, stock=4)
    await api.stock("A", 1, "DC2")
    (fault,) = assert_problem(await api.send("POST", f"{path}/transfer", json=MOVE), 409, "insufficient-availability")[
        "errors"
    ]
    assert {name: fault[name] for name in ("pointer", "line_id", "requested", "available")} == {
        "pointer": "/quantity", "line_id": "1", "requested": 2, "available": 1,
    }  # fmt: skip
    for body, pointer in (({**MOVE, "quantity": 5}, "/quantity"), ({**MOVE, "from": "DC2", "to": "DC1"}, "/quantity")):
        problem = assert_problem(await api.send("POST", f"{path}/transfer", json=body), 409, "reservation-not-active")
        assert problem["errors"][0]["pointer"] == pointer
    assert line_of(await api.send("GET", path))["allocations"][0]["quantity"] == 4


async def test_what_is_not_committed_cannot_be_shipped(api: Api) -> None:
    await api.stock("A", 5)
    path = f"/v1/reservations/{(await api.reserve('A', 2)).json()['id']}"
    for action in ("fulfil", "acknowledge"):
        assert_problem(await api.send("POST", f"{path}/{action}"), 409, "reservation-not-active")
        body = {"lines": [{"line_id": "1", "quantity": 1}]}
        problem = assert_problem(await api.send("POST", f"{path}/{action}", json=body), 409, "reservation-not-active")
        assert problem["errors"][0]["pointer"] == "/lines/0/quantity"
    path = await expired(api)
    assert_problem(await api.send("POST", f"{path}/fulfil"), 409, "reservation-expired")


@pytest.mark.parametrize("id", ["x", "0" * 19, "%00", "a" * 500, "ü"])
async def test_ids_that_are_none(api: Api, id: str) -> None:
    for action, body in (("fulfil", {}), ("acknowledge", {}), ("transfer", MOVE)):
        answer = await api.send("POST", f"/v1/reservations/{id}/{action}", json=body)
        assert_problem(answer, answer.status_code, "not-found" if answer.status_code == 404 else "invalid-request")


async def test_fulfilling_needs_its_own_scope(api: Api) -> None:
    path = await committed(api)
    shop = await api.add_client("checkout", ["reservations:write"])
    oms = await api.add_client("oms", ["reservations:fulfil"])
    assert_problem(await api.send("POST", f"{path}/fulfil", key=shop), 403, "forbidden")
    assert (await api.send("POST", f"{path}/fulfil", key=oms)).status_code == 200
    assert_problem(await api.send("POST", f"{path}/release", key=oms), 403, "forbidden")
