"""Days over HTTP: what may be promised for one, and lines that are needed by one (R10)."""

from datetime import UTC, date, datetime, timedelta

import pytest

from atp.domain.commands import Incoming
from atp.domain.outcomes import Outcome

from .conftest import Api, assert_problem

pytestmark = pytest.mark.anyio


def in_days(n: int) -> date:
    return datetime.now(UTC).date() + timedelta(n)


async def expect(api: Api, quantity: int, day: date, supply_id: str = "po-1") -> None:
    starts_at = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000)
    told = Incoming("A", "DC1", "erp", quantity, "sequence", (0, 1), "", 0, 0, supply_id, day.isoformat(), starts_at)
    (result,) = await api.ledger.apply([told])
    assert result.outcome is Outcome.APPLIED


async def test_a_line_for_a_day_draws_on_what_is_due_by_then(api: Api) -> None:
    await api.stock("A", 3, "DC1")
    await expect(api, 10, in_days(5))
    day, later = in_days(5).isoformat(), in_days(9).isoformat()
    plain = (await api.send("GET", "/v1/availability/A")).json()
    assert (plain["ats"], plain["atp"]) == (3, [{"date": day, "quantity": 13}])
    asked = (await api.send("GET", f"/v1/availability/A?date={in_days(4)}")).json()
    assert asked["atp"] == [{"date": in_days(4).isoformat(), "quantity": 3}]

    line = {"sku": "A", "quantity": 12, "needed_by": later}
    held = await api.send("POST", "/v1/reservations", json={"lines": [line]}, headers={"idempotency-key": "k1"})
    assert held.status_code == 201
    (shown,) = held.json()["lines"]
    assert shown["allocations"] == [
        {"location": "DC1", "quantity": 2, "supply": "on_hand"},
        {"location": "DC1", "quantity": 10, "supply": f"incoming:{day}"},
    ]
    body = {"skus": ["A"], "date": later}
    (left,) = (await api.send("POST", "/v1/availability/query", json=body)).json()["availability"]
    assert (left["ats"], left["held"], left["atp"]) == (1, 2, [{"date": later, "quantity": 1}])


async def test_what_promises_for_later_need_is_shown(api: Api) -> None:
    await api.stock("A", 10, "DC1")
    await expect(api, 8, in_days(2))
    line = {"sku": "A", "quantity": 8, "needed_by": in_days(3).isoformat()}
    await api.send("POST", "/v1/reservations", json={"lines": [line]}, headers={"idempotency-key": "k1"})
    first = await api.send("GET", "/v1/availability/A")
    assert "promised_later" not in first.json()["locations"][0]
    told = Incoming("A", "DC1", "erp", 0, "sequence", (0, 2), "", 0, 0, "po-1", "", 0)
    await api.ledger.apply([told])
    got = (await api.send("GET", "/v1/availability/A")).json()
    (at,) = got["locations"]
    assert (got["ats"], at["ats"], at["on_hand"], at["held"], at["promised_later"]) == (2, 2, 10, 0, 8)
    assert "atp" not in got


async def test_a_refusal_names_the_day_for_which_it_could_be_promised(api: Api) -> None:
    await api.stock("A", 3, "DC1")
    await expect(api, 10, in_days(5))
    body = {"lines": [{"sku": "A", "quantity": 11}]}
    refused = await api.send("POST", "/v1/reservations", json=body, headers={"idempotency-key": "k1"})
    assert_problem(refused, 409, "insufficient-availability")
    (fault,) = refused.json()["errors"]
    assert (fault["available"], fault["promise_date"]) == (3, in_days(5).isoformat())
    body = {"lines": [{"sku": "A", "quantity": 14}]}
    refused = await api.send("POST", "/v1/reservations", json=body, headers={"idempotency-key": "k2"})
    assert "promise_date" not in refused.json()["errors"][0]


@pytest.mark.parametrize("text", ["tomorrow", "2026-02-30", "2026-W01-1", "9999-12-31"])
async def test_what_is_no_day_is_refused(api: Api, text: str) -> None:
    wrong = await api.send("GET", f"/v1/availability/A?date={text}")
    assert_problem(wrong, 400, "invalid-request")
    assert wrong.json()["errors"][0]["parameter"] == "date"
    body = {"lines": [{"sku": "A", "quantity": 1, "needed_by": text}]}
    wrong = await api.send("POST", "/v1/reservations", json=body, headers={"idempotency-key": "k1"})
    assert wrong.json()["errors"][0]["pointer"] == "/lines/0/needed_by"
