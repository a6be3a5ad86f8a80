"""Hoarding: a bot that wants to hold everything gets what one customer may hold, for as long as one hold may last.

OWASP API6 (research/reliability.md §5). The limits are the channel's: units at once per customer, and the age of a hold
from its first taking, whatever is extended or replaced (R32, R37). How fast a client may try is its quota.
"""

import asyncio
from typing import Any

import pytest

from atp.domain.keys import Quota

from .conftest import Api, assert_problem

pytestmark = pytest.mark.anyio

STOCK, HELD_MAX, HOLD_S = 50, 5, 60


async def guarded(api: Api) -> None:
    await api.stock("A", STOCK)
    policy = {"held_units_per_customer": HELD_MAX, "max_hold_seconds": HOLD_S}
    assert (await api.send("PUT", "/v1/channels/default", key=api.admin, json=policy)).status_code == 200


async def hold(api: Api, quantity: int = 1, **body: Any) -> Any:
    return await api.reserve("A", quantity, body={"customer": "bot", "ttl_seconds": HOLD_S} | body)


async def test_a_bot_cannot_hold_all_stock(api: Api) -> None:
    await guarded(api)
    tries = [hold(api, quantity) for quantity in (1, 2, 3, STOCK) for _ in range(10)]
    answers = await asyncio.gather(*tries)
    held = sum(line["held"] for a in answers if a.status_code == 201 for line in a.json()["lines"])
    assert held <= HELD_MAX
    assert {a.status_code for a in answers} == {201, 409}
    assert_problem(next(a for a in answers if a.status_code == 409), 409, "limit-exceeded")
    assert await api.ats("A") == STOCK - held
    assert_problem(await hold(api, customer=None), 400, "invalid-request")  # without a name it gets nothing at all
    split = {"lines": [{"sku": "A", "quantity": HELD_MAX - held + 1}], "allow_partial": True}
    assert_problem(await hold(api, **split), 409, "limit-exceeded")
    honest = await api.reserve("A", HELD_MAX, body={"customer": "c-1", "ttl_seconds": HOLD_S})
    assert honest.status_code == 201


async def test_a_bot_cannot_hold_for_ever(api: Api) -> None:
    await guarded(api)
    assert_problem(await hold(api, ttl_seconds=HOLD_S + 1), 409, "limit-exceeded")
    first = (await hold(api, ttl_seconds=15)).json()
    path = f"/v1/reservations/{first['id']}/extend"
    assert (await api.send("POST", path, json={"ttl_seconds": 20})).status_code == 200
    # A minute is a minute since the first taking: neither extending nor replacing begins anew.
    assert_problem(await api.send("POST", path, json={"ttl_seconds": HOLD_S}), 409, "limit-exceeded")
    assert_problem(await hold(api, replaces=first["id"]), 409, "limit-exceeded")


async def test_a_client_that_tries_too_often_meets_its_quota(api: Api) -> None:
    await guarded(api)
    key = await api.add_client("storefront", ["reservations:write"], quotas={"reserve": Quota(1, 10)})
    names = [api.reserve("A", body={"customer": f"bot-{n}", "ttl_seconds": 30}, key=key) for n in range(STOCK)]
    answers = [answer.status_code for answer in await asyncio.gather(*names)]
    assert set(answers) == {201, 429}
    assert answers.count(201) < STOCK / 2
