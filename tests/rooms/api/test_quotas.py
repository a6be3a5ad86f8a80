"""Quotas: counted over all processes, checked before a body is read, and nobody else's business (R31)."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from atp.api.access.principal import Principal
from atp.api.access.quotas import RETRY_MAX_S, Meter, Quotas, retry_after
from atp.api.problems import Problem
from atp.dev.valkey import Valkey
from atp.domain.keys import Quota
from atp.ledger import Ledger
from atp.ledger.quotas import Share
from tests.support import patient_ledger, wait_until_async

from .conftest import Api, assert_problem

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def processes(url: str, namespace: str, count: int) -> AsyncIterator[list[Quotas]]:
    """What ``count`` API processes have of one ledger's quotas, each with its loop."""
    async with AsyncExitStack() as stack:
        found = []
        for _ in range(count):
            ledger = Ledger(patient_ledger(url, namespace))
            await ledger.open({})
            stack.push_async_callback(ledger.close)
            found.append(Quotas(ledger))
        loops = [asyncio.create_task(quotas.run()) for quotas in found]
        try:
            yield found
        finally:
            for loop in loops:
                loop.cancel()
            await asyncio.gather(*loops, return_exceptions=True)


def ask(quotas: Quotas, caller: Principal, route: str = "reserve") -> bool:
    """One request; whether it was let in."""
    meter = quotas.meter(caller, route)
    assert meter
    try:
        meter.take()
    except Problem:
        return False
    return True


def limited(client: str, rate: float, burst: float = 0) -> Principal:
    return Principal(client, frozenset(), quotas={"reserve": Quota(rate, burst)})


class Asked(NamedTuple):
    """What became of asking all the time."""

    let_in: int
    seconds: float  # in which it was asked, without those in which the machine stood still
    lasted: float  # all of them


async def hammer(quotas: Quotas, caller: Principal, seconds: float, pause: float = 0.001) -> Asked:
    """Ask all the time."""
    let_in, asked, began = 0, 0.0, time.monotonic()
    before = began
    while asked < seconds:
        let_in += ask(quotas, caller)
        await asyncio.sleep(pause)
        now = time.monotonic()
        asked, before = asked + min(now - before, pause + 0.02), now
    return Asked(let_in, asked, before - began)


async def know_each_other(several: list[Quotas], caller: Principal) -> None:
    """Until each has its part: they are new to the ledger, and have a whole quota each."""

    async def equal() -> bool:
        await asyncio.gather(*(hammer(quotas, caller, 0.05) for quotas in several))
        return all(quotas._meters[caller.client, "reserve"].part == 1 / len(several) for quotas in several)

    await wait_until_async(equal, 20, "equal parts")


async def test_processes_share_one_quota(valkey: str, namespace: str) -> None:
    caller = limited("shop", rate=200, burst=40)
    async with processes(valkey, namespace, 2) as (one, two):
        asked = await asyncio.gather(hammer(one, caller, 0.8), hammer(two, caller, 0.8))
    let_in = [each.let_in for each in asked]
    # Each began with a whole burst, not knowing of the other; it was owed, so that only the first counts.
    assert 0.6 * 200 * min(asked.seconds for asked in asked) < sum(let_in)
    assert sum(let_in) <= 40 + 200 * max(asked.lasted for asked in asked) + 40
    assert min(let_in) > 0.25 * sum(let_in)


async def test_a_process_may_have_what_the_others_leave(valkey: str, namespace: str) -> None:
    caller = limited("shop", rate=200, burst=20)
    async with processes(valkey, namespace, 2) as (busy, idle):
        await know_each_other([busy, idle], caller)
        much, trickle = await asyncio.gather(hammer(busy, caller, 0.8), hammer(idle, caller, 0.8, pause=0.15))
    assert much.let_in > 0.65 * 200 * much.seconds
    assert trickle.let_in >= 2


async def test_what_processes_spent_together_beyond_the_quota_is_owed(valkey: str, namespace: str) -> None:
    caller = limited("shop", rate=1, burst=10)
    async with processes(valkey, namespace, 2) as (one, two):
        for quotas in (one, two):
            assert [ask(quotas, caller) for _ in range(11)] == [True] * 10 + [False]
        await wait_until_async(
            lambda: one._meters["shop", "reserve"].headers()["ratelimit"].startswith('"reserve";r=0')
        )
        for quotas in (one, two, one):
            await quotas.share()
        meter = one.meter(caller, "reserve")
        assert meter
        with pytest.raises(Problem) as refused:
            meter.take()
        assert int(refused.value.all_headers()["retry-after"]) > 5  # ten are owed, and half of what comes in is its own


async def test_a_client_far_above_its_quota_does_not_touch_another(valkey: str, namespace: str) -> None:
    flood, other = limited("flood", rate=20), limited("other", rate=20)
    async with processes(valkey, namespace, 2) as (one, two):
        asking = [hammer(quotas, flood, 1.0) for quotas in (one, two)]
        kept = asyncio.gather(hammer(one, other, 1.0, pause=0.1), hammer(two, other, 1.0, pause=0.1))
        flooded = await asyncio.gather(*asking)
        answered = [ask(quotas, other) for quotas in (one, two)]
        asked = await kept
    assert sum(each.let_in for each in flooded) < 60 + 20 * max(each.lasted for each in flooded)
    assert all(answered)
    assert min(each.let_in for each in asked) >= 4  # every one of them, on however slow a machine


async def test_without_the_ledger_the_last_share_goes_on(tmp_path: Path) -> None:
    caller = limited("shop", rate=100, burst=10)
    with Valkey(tmp_path) as server:
        async with processes(server.url, "t", 2) as (one, two):
            await know_each_other([one, two], caller)
            server.stop()
            asked = await asyncio.gather(hammer(one, caller, 0.8), hammer(two, caller, 0.8))
    assert 0.5 * 100 * min(each.seconds for each in asked) < sum(each.let_in for each in asked)
    assert sum(each.let_in for each in asked) < 100 * max(each.lasted for each in asked) + 25


def test_a_wait_is_bounded_and_not_the_same_for_all() -> None:
    assert {retry_after(0.01) for _ in range(100)} == {1, 2}
    long = {retry_after(10_000) for _ in range(300)}
    assert min(long) >= RETRY_MAX_S
    assert max(long) <= 1.25 * RETRY_MAX_S
    assert len(long) > 3


def test_a_burst_below_one_request_still_lets_one_in() -> None:
    meter = Meter("bulk", Quota(0.1))
    meter.take()
    with pytest.raises(Problem) as refused:
        meter.take()
    assert 9 <= int(refused.value.all_headers()["retry-after"]) <= 13


@pytest.mark.parametrize("rate", [1e-20, 1e-310, 5e-324])
def test_a_rate_next_to_nothing_is_refused_in_numbers_that_a_header_can_have(rate: float) -> None:
    meter = Meter("bulk", Quota(rate))
    meter.take()
    meter.told(Share(0.0, 0.5))
    with pytest.raises(Problem) as refused:
        meter.take()
    assert 30 <= int(refused.value.all_headers()["retry-after"]) <= 37
    assert {int(header.rpartition("=")[2]) for header in meter.headers().values()} == {999_999_999_999_999}


async def test_answers_say_what_is_left_and_a_refusal_when_to_come_back(api: Api) -> None:
    key = await api.add_client(
        "small",
        ["availability:read", "reservations:write"],
        quotas={"reserve": Quota(0.02, 3), "read": Quota(0.02, 100)},
    )
    await api.stock("A", 100)
    answers = [await api.reserve("A", key=key) for _ in range(5)]
    assert [a.status_code for a in answers] == [201, 201, 201, 429, 429]
    for n, answer in enumerate(answers[:2], 1):
        left, full_in = answer.headers["ratelimit"].removeprefix('"reserve";r=').split(";t=")
        assert left == str(3 - n)
        assert n * 50 - 40 < int(full_in) <= n * 50
    assert {a.headers["ratelimit-policy"] for a in answers} == {'"reserve";q=3;w=150'}
    problem = assert_problem(answers[3], 429, "quota-exceeded")
    assert problem["violated-policies"] == ["reserve"]
    assert 30 <= int(answers[3].headers["retry-after"]) <= 37  # the longest that anybody is told, and up to a quarter
    read = await api.send("GET", "/v1/availability/A", key=key)
    assert read.headers["ratelimit"].startswith('"read";r=99')
    confirmed = await api.send("POST", f"/v1/reservations/{answers[0].json()['id']}/confirm", key=key, json={})
    assert confirmed.status_code == 200  # a class without a quota is not limited
    assert "ratelimit" not in confirmed.headers
    assert "ratelimit" not in (await api.reserve("A")).headers


async def test_a_batch_counts_each_of_its_reservations(api: Api) -> None:
    key = await api.add_client("small", ["reservations:write"], quotas={"reserve": Quota(0.02, 10)})
    await api.stock("A", 100)
    many = {"reservations": [{"lines": [{"sku": "A", "quantity": 1}]}] * 8}
    assert (await api.send("POST", "/v1/reservations/batch", key=key, json=many)).status_code == 200
    assert [(await api.reserve("A", key=key)).status_code for _ in range(3)] == [201, 201, 429]


async def test_a_refusal_does_not_wait_for_the_body(api: Api) -> None:
    key = await api.add_client("small", ["reservations:write"], quotas={"reserve": Quota(0.1)})
    await api.stock("A", 100)
    assert (await api.reserve("A", key=key)).status_code == 201
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    head = f"POST /v1/reservations HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {key}\r\ncontent-length: 900\r\n\r\n"
    writer.write(head.encode())
    async with asyncio.timeout(10):
        assert b" 429 " in await reader.readline()  # not a byte of the body was sent
    writer.close()


async def test_a_quota_that_changes_counts_within_seconds(api: Api) -> None:
    await api.stock("A", 100)
    key = await api.add_client("small", ["reservations:write"], quotas={"reserve": Quota(0.1)})
    assert [(await api.reserve("A", key=key)).status_code for _ in range(2)] == [201, 429]
    newer = await api.add_client("small", ["reservations:write"])
    await wait_until_async(lambda: _is_let_in(api, newer), description="the quota is gone")


async def _is_let_in(api: Api, key: str) -> bool:
    return (await api.reserve("A", key=key)).status_code == 201
