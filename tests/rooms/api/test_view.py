"""The process's copy of availability: it spares the ledger, and never shows what is known to be otherwise."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from atp.api.following.tail import Tail
from atp.api.following.view import View
from atp.dev.valkey import Valkey
from atp.domain.commands import Level, PutPolicy
from atp.domain.records import Asked
from atp.ledger import Ledger
from tests.rooms.outbox.room import reserve
from tests.support import patient_ledger, wait_until_async

from .conftest import Api, assert_problem, served

pytestmark = pytest.mark.anyio

PATH = "/v1/availability/A"


@pytest.fixture
async def other(api: Api) -> AsyncIterator[Ledger]:
    """Another process at the same ledger."""
    ledger = Ledger(patient_ledger(api.ledger.settings.url, api.ledger.settings.namespace))
    await ledger.open({})
    yield ledger
    await ledger.close()


def readings(origin: str) -> float:
    return REGISTRY.get_sample_value("atp_view_reads_total", {"origin": origin}) or 0.0


async def ats(api: Api, path: str = PATH) -> int:
    return (await api.send("GET", path)).json()["ats"]


async def test_pollers_cost_the_ledger_nothing_while_nothing_changes(api: Api) -> None:
    await api.stock("A", 9)
    await api.stock("B", 9)

    async def told() -> bool:
        """The new location is behind us: it ends every number that was read before it was heard of."""
        before = readings("ledger")
        await api.send("GET", PATH)
        return readings("ledger") == before

    await wait_until_async(told)
    first = await api.send("GET", PATH)
    before = readings("ledger")
    tag = {"if-none-match": first.headers["etag"]}
    for _ in range(5):
        assert (await api.send("GET", PATH, headers=tag)).status_code == 304
    await api.reserve("B")  # of another sku
    assert (await api.send("GET", PATH, headers=tag)).status_code == 304
    assert readings("ledger") == before
    await api.reserve("A")
    changed = await api.send("GET", PATH, headers=tag)
    assert (changed.status_code, changed.json()["ats"]) == (200, 8)
    assert readings("ledger") == before + 1


async def test_the_time_of_an_answer_goes_on_while_the_number_holds(api: Api) -> None:
    await api.stock("A", 9)
    first = (await api.send("GET", PATH)).json()["as_of"]

    async def later() -> bool:
        return (await api.send("GET", PATH)).json()["as_of"] > first

    before = readings("ledger")
    await wait_until_async(later)
    assert readings("ledger") == before


async def test_what_other_processes_change_is_seen(api: Api, other: Ledger) -> None:
    await api.stock("A", 9)
    assert await ats(api) == 9
    await other.apply([reserve("k", 2, "A")])
    await wait_until_async(lambda: is_ats(api, 7))
    await other.put_policy(PutPolicy("location", "DC1", '{"kind":"warehouse","active":false}'))
    await wait_until_async(lambda: is_ats(api, 0))


async def test_a_look_that_is_old_leads_to_another_and_not_to_reading_all_again(api: Api, other: Ledger) -> None:
    """A process that was busy for a quarter of a second would else be busy for longer, with what has not changed."""
    skus, view = [f"S{n}" for n in range(100)], View(other)
    for sku in skus:
        await api.stock(sku, 9)

    async def kept() -> bool:
        before = readings("ledger")
        await view.read(skus, Asked("web"))
        return readings("ledger") == before

    try:
        await wait_until_async(kept)
        (changed,) = await api.ledger.apply([reserve("k", 2, "S7")])
        assert changed.seq
        view.tail.checked_at -= 10
        before = readings("ledger")
        assert [shown.stock.ats for shown in await view.read(skus, Asked("web"))] == [9] * 7 + [7] + [9] * 92
        assert readings("ledger") == before + 1
    finally:
        await view.close()


async def is_ats(api: Api, wanted: int) -> bool:
    return await ats(api) == wanted


async def test_a_named_position_is_waited_for(api: Api, other: Ledger) -> None:
    await api.stock("A", 99)
    path, named = "", []
    for n in range(20):
        (result,) = await other.apply([reserve(f"k{n}", 1, "A")])
        path = f"?min_position=0:{result.seq}"
        assert await ats(api, PATH + path) == 98 - n
        body = {"skus": ["A"], "min_position": f"0:{result.seq}"}
        answer = await api.send("POST", "/v1/availability/query", json=body)
        assert answer.json()["availability"][0]["ats"] == 98 - n
        named.append(f"0:{result.seq}")
    assert await ats(api, f"{PATH}{path}&location=DC1") == 79
    assert await ats(api, f"{PATH}?min_position={','.join(named)}") == 79  # as one of many partitions names them


async def test_a_position_that_never_comes_is_told_within_a_second_or_so(api: Api) -> None:
    await api.stock("A", 9)
    answer = await api.send("GET", PATH + "?min_position=0:999999")
    assert_problem(answer, 503, "position-not-reached")
    for wrong in ("0", "x:1", "7:1", "0:1;0:2"):
        answer = await api.send("GET", PATH, params={"min_position": wrong})
        assert assert_problem(answer, 400, "invalid-request")["errors"][0]["parameter"] == "min_position"


async def test_the_last_numbers_are_read_as_stale_while_the_ledger_is_away(tmp_path: Path, namespace: str) -> None:
    with Valkey(tmp_path) as server:
        async with served(server.url, namespace) as api:
            await api.stock("A", 9)
            known = await api.send("GET", PATH)
            server.stop()
            await wait_until_async(lambda: is_stale(api))
            away = await api.send("GET", PATH)
            assert away.json()["ats"] == 9
            assert away.headers["etag"] != known.headers["etag"]
            assert_problem(await api.send("GET", "/v1/availability/B"), 503, "ledger-unavailable")
            assert_problem(await api.send("GET", PATH + "?min_position=0:1"), 503, "ledger-unavailable")
            server.start()
            await wait_until_async(lambda: is_current(api), 20)


async def is_stale(api: Api) -> bool:
    return (await api.send("GET", PATH)).json().get("stale", False)


async def is_current(api: Api) -> bool:
    answer = await api.send("GET", PATH)
    return answer.status_code == 200 and not answer.json()["stale"]


async def test_nobody_reads_older_than_acknowledged_however_reads_and_writes_meet(api: Api, other: Ledger) -> None:
    """Two processes write a hot sku, many read it: no read begun after an acknowledgement of its process misses it."""
    await api.stock("A", 10_000)
    sold = 0

    async def sell() -> None:
        nonlocal sold
        for _ in range(15):
            assert (await api.reserve("A")).status_code == 201
            sold += 1

    async def read() -> None:
        while not done.is_set():
            acknowledged = sold
            assert await ats(api) <= 10_000 - acknowledged

    done = asyncio.Event()
    readers = [asyncio.create_task(read()) for _ in range(4)]
    await asyncio.gather(*(sell() for _ in range(3)), other.apply([reserve(f"k{n}", 1, "A") for n in range(30)]))
    done.set()
    await asyncio.gather(*readers)
    await wait_until_async(lambda: is_ats(api, 10_000 - sold - 30))


async def test_a_trimmed_outbox_is_noticed(api: Api, other: Ledger) -> None:
    """What went to the journal before it was looked at is not followed entry by entry: all is read again."""
    await api.stock("A", 9)
    assert await ats(api) == 9
    for n in range(1, 6):
        (result,) = await other.apply([Level("A", "DC1", "wms", 9 + n, "sequence", (0, 100 + n), "", 0, 0)])
        await other.trim(0, result.seq)
        await wait_until_async(lambda wanted=9 + n: is_ats(api, wanted))


async def test_a_part_of_the_outbox_that_is_missing_is_noticed(api: Api) -> None:
    """The first of two entries is trimmed: what it changed is not known, so anything may have."""
    await api.stock("A", 9)
    told: list[tuple[int, set[str] | None, int]] = []
    tail = Tail(api.ledger, lambda *change: told.append(change))
    await tail._look()
    told.clear()
    for sku in ("A", "B"):
        await api.stock(sku, 5)
    head = (await api.ledger.heads())[0].seq
    await api.ledger.trim(0, head - 1)
    await tail._look()
    assert (0, None, head) in told
    assert tail.through == [head]
