"""Overload through the door: real server, real ledger, few slots."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator

import pytest
from prometheus_client import REGISTRY

from atp.api import ApiSettings
from atp.api.admission import AdmissionSettings
from atp.api.rooms import Rooms
from tests.rooms.api.conftest import Api, assert_problem, served
from tests.support import wait_until_async

pytestmark = pytest.mark.anyio

#: One slot for each class that sells or shows; bulk shares them.
NARROW = AdmissionSettings(slots_max=4, slots_min=4, shares=(0.5, 0.25, 0.25, 0.0), ceilings=(1.0, 0.25, 0.25, 0.25))


@pytest.fixture
async def narrow(valkey: str, namespace: str) -> AsyncIterator[Api]:
    async with served(valkey, namespace, ApiSettings(lame_duck_s=0, admission=NARROW)) as api:
        yield api


class Connection:
    """One keep-alive connection that sends what it is told, byte by byte if need be."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def __aenter__(self) -> "Connection":
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._api.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()

    def begin(self, key: str, path: str = "/v1/reservations", length: int = 100, more: str = "") -> None:
        """Send a head that announces a body, and no body."""
        self._writer.write(
            f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {self._api.key}\r\nidempotency-key: {key}\r\n"
            f"content-type: application/json\r\n{more}content-length: {length}\r\n\r\n".encode()
        )

    def body(self, body: bytes) -> None:
        self._writer.write(body)

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        head = await asyncio.wait_for(self._reader.readuntil(b"\r\n\r\n"), 20)
        first, *lines = head.decode().lower().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines if line)
        return int(first.split()[1]), headers, await self._reader.readexactly(int(headers["content-length"]))


BODY = json.dumps({"lines": [{"sku": "A", "quantity": 1}]}).encode()


async def test_reserve_is_shed_before_its_body_while_what_was_sold_goes_on(narrow: Api) -> None:
    await narrow.stock("A", 9)
    held = (await narrow.reserve("A")).json()["id"]
    async with Connection(narrow) as slow, Connection(narrow) as next_one:
        slow.begin("k1", length=len(BODY))  # has the slot of P1, and keeps it
        await wait_until_async(lambda: active("p1") == 1, description="the slot is taken")
        next_one.begin("k2", length=60_000)  # its body never comes
        status, headers, body = await next_one.answer()
        assert (status, headers["content-type"]) == (503, "application/problem+json")
        problem = json.loads(body)
        assert problem["type"].endswith(":overloaded")
        assert problem["request_id"] == headers["x-request-id"]
        assert 1 <= int(headers["retry-after"]) <= 38
        assert headers["x-content-type-options"] == "nosniff"

        assert_problem(await narrow.reserve("A"), 503, "overloaded")
        assert (await narrow.send("POST", f"/v1/reservations/{held}/confirm", json={})).status_code == 200
        assert (await narrow.send("GET", "/v1/availability/A")).status_code == 200
        assert (await narrow.http.get("/health/ready")).status_code == 200

        slow.body(BODY)
        assert (await slow.answer())[0] == 201
    assert (await narrow.reserve("A")).status_code == 201
    assert await narrow.ats("A") == 6


async def test_bulk_gives_way_and_comes_back_step_by_step(valkey: str, namespace: str) -> None:
    quick = AdmissionSettings(
        slots_max=4, slots_min=4, shares=(0.5, 0.25, 0.25, 0.0), ceilings=(1.0, 0.25, 0.25, 0.25), descend_s=0.3
    )
    async with served(valkey, namespace, ApiSettings(lame_duck_s=0, admission=quick)) as api:
        async with Connection(api) as slow:
            slow.begin("k1")
            await wait_until_async(lambda: active("p1") == 1, description="the slot is taken")

            async def is_refused() -> bool:
                """Of a crowd that lasts: a third of a second without one, and bulk is taken again."""
                assert_problem(await api.reserve("A"), 503, "overloaded")
                answer = await api.send("GET", "/v1/locations", key=api.admin)
                if answer.status_code == 200:
                    return False
                assert_problem(answer, 503, "overloaded")
                return metric("atp_degradation_step") >= 2

            await wait_until_async(is_refused, description="bulk is stopped")
        await wait_until_async(lambda: metric("atp_degradation_step") == 0, description="all is taken again")
        assert (await api.send("GET", "/v1/locations", key=api.admin)).status_code == 200


async def test_a_deadline_that_an_answer_usually_misses_is_refused_at_once(narrow: Api) -> None:
    await narrow.stock("A", 9)
    async with Connection(narrow) as slow, Connection(narrow) as hurried:
        slow.begin("k1", length=len(BODY))
        await wait_until_async(lambda: active("p1") == 1, description="the slot is taken")
        hurried.begin("k2", more="x-request-timeout-ms: 30\r\n")
        status, headers, body = await hurried.answer()
        assert status == 503
        assert headers["retry-after"]
        assert json.loads(body)["type"].endswith((":deadline-too-short", ":overloaded"))
        slow.body(BODY)
        await slow.answer()
    assert await narrow.ats("A") == 8


async def test_a_closed_loop_of_256_callers_is_no_overload(api: Api) -> None:
    await api.stock("A", 100_000)
    met: Counter[int] = Counter()

    async def caller(number: int) -> None:
        async with Connection(api) as connection:
            for turn in range(4):
                connection.begin(f"{number}-{turn}", length=len(BODY))
                connection.body(BODY)
                met[(await connection.answer())[0]] += 1

    await asyncio.gather(*(caller(number) for number in range(256)))
    assert met == {201: 1_024}


async def test_a_refusal_leaves_the_connection_usable(narrow: Api) -> None:
    await narrow.stock("A", 9)
    async with Connection(narrow) as slow, Connection(narrow) as other:
        slow.begin("k1", length=len(BODY))
        await wait_until_async(lambda: active("p1") == 1, description="the slot is taken")
        other.begin("k2", length=len(BODY))
        other.body(BODY)
        assert (await other.answer())[0] == 503
        slow.body(BODY)
        assert (await slow.answer())[0] == 201
        other.begin("k2", length=len(BODY))  # the same key, as Retry-After asks
        other.body(BODY)
        assert (await other.answer())[0] == 201
    assert await narrow.ats("A") == 7


async def test_a_waiting_room_hears_of_reserves_that_were_shed_but_not_of_strangers(
    narrow: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[int] = []
    monkeypatch.setattr(Rooms, "count", lambda _, status: heard.append(status))
    await narrow.stock("A", 9)
    assert (await narrow.reserve("A")).status_code == 201
    async with Connection(narrow) as slow:
        slow.begin("k1", length=len(BODY))
        await wait_until_async(lambda: active("p1") == 1, description="the slot is taken")
        assert_problem(await narrow.reserve("A"), 503, "overloaded")
        assert_problem(await narrow.reserve("A", key="atp_nobody_knows"), 503, "overloaded")
        assert heard == [201, 503]
        slow.body(BODY)
        await slow.answer()


def active(cls: str) -> float:
    """Requests under way, as of the last look."""
    return metric("atp_admitted_active", cls=cls)


def metric(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0
