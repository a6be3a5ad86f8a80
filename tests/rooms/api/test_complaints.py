"""What shops complain about, over HTTP; the numbers are those of research/field.md §3.

tests/scenarios/test_complaints.py has those that the law alone settles.
"""

import asyncio

import pytest

from atp.domain.commands import Change, Release, Reserve, ReserveLine
from atp.domain.ids import reservation_id
from atp.domain.outcomes import Outcome
from tests.support import wait_until_async

from .conftest import Api, assert_problem, served

pytestmark = pytest.mark.anyio


def reserve(n: int) -> Reserve:
    """One unit of A, asked for without HTTP."""
    lines = [ReserveLine("1", "A", 1)]
    return Reserve(reservation_id("job", str(n), "A"), n, "job", "web", "", "", "", "", 600_000, lines)


async def test_complaint_01_two_buyers_of_one_unit_have_one_winner(valkey: str, namespace: str) -> None:
    """Others check in one transaction and allocate in another. Here also two processes have one winner per unit."""
    async with served(valkey, namespace) as one, served(valkey, namespace, beside=one) as other:
        await one.stock("A", 10)
        answers = await asyncio.gather(*(api.reserve("A") for api in (one, other) * 20))
        assert sorted(answer.status_code for answer in answers) == [201] * 10 + [409] * 30
        assert await one.ats("A") == 0


async def test_complaint_03_two_lines_of_one_basket_are_summed(api: Api) -> None:
    """Elsewhere each line of a bundle passes its own check. Here the second line finds what the first one left."""
    await api.stock("A", 5)
    lines = [{"sku": "A", "quantity": 3}, {"sku": "A", "quantity": 3}]
    problem = assert_problem(await api.reserve("A", body={"lines": lines}), 409, "insufficient-availability")
    (fault,) = problem["errors"]
    assert (fault["pointer"], fault["requested"], fault["available"]) == ("/lines/1", 3, 2)
    assert await api.ats("A") == 5


async def test_complaint_04_no_door_goes_around_the_law(valkey: str, namespace: str) -> None:
    """Elsewhere direct calls of the service oversubscribe and lose counter updates; only the workflow is safe.

    Here the library's own door and HTTP, mixed and at once, are the same commands to the same function.
    """
    async with served(valkey, namespace) as api, served(valkey, namespace, beside=api) as other:
        await api.stock("A", 30)
        results, answers = await asyncio.gather(
            asyncio.gather(*(other.ledger.submit(reserve(n)) for n in range(40))),
            asyncio.gather(*(api.reserve("A") for _ in range(40))),
        )
        won = [result.outcome for result in results].count(Outcome.APPLIED)
        assert won + [answer.status_code for answer in answers].count(201) == 30
        (stock,) = await api.ledger.availability(["A"])
        assert (stock.locations[0].balance.held, stock.ats) == (30, 0)


async def test_complaint_05_over_release_is_refused_and_the_counter_stays_whole(api: Api) -> None:
    """Elsewhere a second release makes the reserved counter negative. Here it is refused, or known as a repeat."""
    await api.stock("A", 5)
    id = (await api.reserve("A", 2)).json()["id"]
    path = f"/v1/reservations/{id}/release"
    too_many = {"lines": [{"line_id": "1", "quantity": 3}]}
    assert_problem(await api.send("POST", path, json=too_many), 409, "reservation-not-active")
    answers = await asyncio.gather(*(api.send("POST", path) for _ in range(8)))
    assert {answer.status_code for answer in answers} == {200}
    (at,) = (await api.send("GET", "/v1/availability/A")).json()["locations"]
    assert (at["held"], at["committed"], at["ats"]) == (0, 0, 5)


async def test_complaint_08_a_retried_call_counts_once(api: Api) -> None:
    """Elsewhere a retried ship, release or cancel credits stock twice. Here the repeat of a key changes nothing."""
    await api.stock("A", 10)
    id = (await api.reserve("A", 4)).json()["id"]
    await api.send("POST", f"/v1/reservations/{id}/confirm")
    part = {"lines": [{"line_id": "1", "quantity": 1}]}
    for action, body, ats in (
        ("fulfil", part | {"shipment": "PARCEL-1"}, 6),
        ("release", part | {"of": "committed"}, 7),
    ):
        answers = await asyncio.gather(
            *(
                api.send("POST", f"/v1/reservations/{id}/{action}", json=body, headers={"idempotency-key": action})
                for _ in range(6)
            )
        )
        assert {answer.status_code for answer in answers} == {200}
        assert ["idempotency-replayed" in answer.headers for answer in answers].count(False) == 1
        assert await api.ats("A") == ats
    same_parcel = await api.send("POST", f"/v1/reservations/{id}/fulfil", json=part | {"shipment": "PARCEL-1"})
    assert same_parcel.headers["idempotency-replayed"] == "true"
    assert same_parcel.json()["lines"][0]["fulfilled"] == 1


async def test_complaint_09_what_is_shown_can_be_reserved(api: Api) -> None:
    """Elsewhere availability adds the locations and the reserve takes the first. Here both know all of them."""
    for n, location in enumerate(("DC1", "DC2", "DC3"), 1):
        await api.stock("A", n, location)
    shown = (await api.send("GET", "/v1/availability/A")).json()["ats"]
    assert (await api.reserve("A", shown + 1)).status_code == 409
    reserved = await api.reserve("A", shown)
    assert reserved.status_code == 201
    assert [a["quantity"] for a in reserved.json()["lines"][0]["allocations"]] == [1, 2, 3]


async def test_complaint_10_negative_stock_blocks_no_other_location(api: Api) -> None:
    """Elsewhere a negative count in one warehouse is added to the others' stock. Here it counts where it is."""
    await api.stock("A", -7, "DC1")
    await api.stock("A", 3, "DC2")
    shown = (await api.send("GET", "/v1/availability/A")).json()
    assert (shown["ats"], [at["ats"] for at in shown["locations"]]) == (3, [0, 3])
    assert (await api.reserve("A", 3)).status_code == 201


async def test_complaint_13_nobody_is_blocked_by_their_own_hold(api: Api) -> None:
    """Elsewhere a shopper who changes the basket finds the last unit held: by themselves. Here it is replaced."""
    await api.stock("A", 2)
    first = (await api.reserve("A", 2, body={"customer": "c-1"})).json()["id"]
    assert (await api.reserve("A", 1, body={"customer": "c-1"})).status_code == 409
    second = await api.reserve("A", 1, body={"customer": "c-1", "replaces": first})
    assert second.status_code == 201
    assert (await api.send("GET", f"/v1/reservations/{first}")).json()["state"] == "released"
    assert await api.ats("A") == 1


async def test_complaint_14_a_failed_payment_is_retried_on_the_same_hold(api: Api) -> None:
    """Release now, or keep for the retry? Here the caller decides, and money that comes late is never lost silently.

    The hold stays until its deadline; afterwards `reacquire` takes the units again, or says with figures that they
    are gone.
    """
    await api.stock("A", 1)
    path = f"/v1/reservations/{(await api.reserve('A', body={'ttl_seconds': 3})).json()['id']}"
    assert (await api.send("POST", f"{path}/extend", json={"ttl_seconds": 3})).status_code == 200

    async def lapsed() -> bool:
        return (await api.send("GET", path)).json()["state"] == "expired"

    await wait_until_async(lapsed, description="the hold lapses")
    assert (await api.send("POST", f"{path}/confirm", json={"reacquire": True})).status_code == 200
    released = await api.send("POST", f"{path}/release", json={"of": "committed"})
    assert released.status_code == 200
    assert await api.ats("A") == 1


async def test_complaint_17_the_loser_is_told_which_item_and_how_many_are_left(api: Api) -> None:
    """Elsewhere the loser of the last unit gets a raw exception. Here a problem with item, rest and who else has it."""
    await api.stock("A", 1)
    await api.stock("B", 9)
    assert (await api.reserve("A")).status_code == 201
    lines = [{"sku": "B", "quantity": 1}, {"sku": "A", "quantity": 1}]
    problem = assert_problem(await api.reserve("A", body={"lines": lines}), 409, "insufficient-availability")
    (fault,) = problem["errors"]
    assert (fault["pointer"], fault["sku"], fault["requested"]) == ("/lines/1", "A", 1)
    assert (fault["available"], fault["largest_quantity"], fault["held_by_others"]) == (0, 0, 1)


async def test_complaint_18_editing_an_order_does_not_bring_back_what_it_gave_up(api: Api) -> None:
    """Elsewhere a failed edit restores holds that were used up. Here the edit is one step: all of it, or nothing."""
    await api.stock("A", 3)
    await api.stock("B", 1)
    first = (await api.reserve("A", 3)).json()["id"]
    too_much = {"lines": [{"sku": "A", "quantity": 2}, {"sku": "B", "quantity": 2}], "replaces": first}
    assert_problem(await api.reserve("A", body=too_much), 409, "insufficient-availability")
    assert (await api.send("GET", f"/v1/reservations/{first}")).json()["state"] == "held"
    smaller = {"lines": [{"sku": "A", "quantity": 2}, {"sku": "B", "quantity": 1}], "replaces": first}
    second = (await api.reserve("A", body=smaller)).json()["id"]
    assert (await api.send("POST", f"/v1/reservations/{second}/confirm")).status_code == 200
    assert_problem(await api.send("POST", f"/v1/reservations/{first}/confirm"), 409, "reservation-not-active")
    assert (await api.send("POST", f"/v1/reservations/{second}/fulfil")).status_code == 200
    (at,) = (await api.send("GET", "/v1/availability/A")).json()["locations"]
    assert (at["held"], at["committed"], at["ats"]) == (0, 0, 1)


async def test_complaint_19_balance_and_holds_are_one_reading_and_the_floor_is_kept(api: Api) -> None:
    """Elsewhere a balance and its holds are read apart, and a lapsed hold is still shown.

    Here the answer's own terms re-add to it while others change them, and safety stock is the floor.
    """
    await api.stock("A", 10)
    await api.send("PUT", "/v1/items/A", key=api.admin, json={"safety_stock": 4})
    held = [await api.ledger.submit(reserve(n)) for n in range(6)]
    assert {result.outcome for result in held} == {Outcome.APPLIED}
    assert (await api.reserve("A")).status_code == 409

    async def read() -> None:
        (at,) = (await api.send("GET", "/v1/availability/A")).json()["locations"]
        assert at["ats"] == at["on_hand"] - at["safety_stock"] - at["held"] - at["committed"]

    releases = (
        api.ledger.submit(Release(result.reservation.id, Change(1, 1), "", [])) for result in held if result.reservation
    )
    await asyncio.gather(*releases, *(read() for _ in range(20)))
    assert await api.ats("A") == 6
