"""Readings: a call of them ends when its time is over, and others are served before the next one."""

import asyncio

import pytest

from atp.domain.commands import Level, PutPolicy
from atp.domain.records import SkuUnits
from atp.ledger import Ledger, wire
from atp.ledger.reader import QUERIES_MAX
from tests.support import patient_ledger

from .conftest import Opening
from .made import level, reserve

pytestmark = pytest.mark.anyio

#: Skus that the script reads together, and how many places end such a group: availability.lua.
SKUS_TOGETHER, PLACES_TOGETHER = 16, 32

#: Time that no call keeps to: each ends behind its first group.
NO_TIME = 0


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many answers each call of readings gave."""
    found: list[int] = []
    decode = wire.decode_read

    def noting(data: bytes) -> wire.Read:
        read = decode(data)
        found.append(len(read.answers))
        return read

    monkeypatch.setattr("atp.ledger.reader.decode_read", noting)
    return found


async def stocked(opening: Opening, url: str, namespace: str, skus: int, places: int, read_us: int) -> Ledger:
    """A ledger with n + 1 units of sku Sn at each place."""
    ledger = await opening(patient_ledger(url, namespace, read_us=read_us))
    ids = [f"P{n}" for n in range(places)]
    await ledger.apply([PutPolicy("location", at, '{"kind":"store"}') for at in ids])
    levels = [Level(f"S{n}", at, "wms", n + 1, "sequence", (0, 1), "", 0, 0) for n in range(skus) for at in ids]
    await ledger.apply(levels)
    return ledger


@pytest.mark.parametrize(("places", "together"), [(1, SKUS_TOGETHER), (12, 3), (40, 1)])
async def test_a_call_ends_behind_the_group_that_its_time_was_over_at(
    open_ledger: Opening, valkey: str, namespace: str, pages: list[int], places: int, together: int
) -> None:
    """A sku with many places is read alone: its reading is not divided."""
    ledger = await stocked(open_ledger, valkey, namespace, 50, places, NO_TIME)
    pages.clear()
    stocks = await ledger.availability([f"S{n}" for n in range(50)])
    assert [stock.ats for stock in stocks] == [places * (n + 1) for n in range(50)]
    assert all(len(stock.locations) == places for stock in stocks)
    assert sum(pages) == 50
    assert max(pages) == together


async def test_a_call_answers_all_that_there_is_time_for(
    open_ledger: Opening, valkey: str, namespace: str, pages: list[int]
) -> None:
    ledger = await stocked(open_ledger, valkey, namespace, 1, 1, 10**9)
    pages.clear()
    await ledger.availability(["S0"] * (2 * QUERIES_MAX + 1))
    assert pages == [QUERIES_MAX, QUERIES_MAX, 1]


async def test_what_others_want_is_done_between_two_calls(
    open_ledger: Opening, valkey: str, namespace: str, pages: list[int]
) -> None:
    ledger = await stocked(open_ledger, valkey, namespace, 1, 1, NO_TIME)
    pages.clear()
    reading = asyncio.create_task(ledger.availability(["S0"] * 200 * SKUS_TOGETHER))
    while not pages:  # noqa: ASYNC110 - a call later most would be over
        await asyncio.sleep(0)
    result = await ledger.submit(reserve("k", "S0"))
    assert not reading.done()
    assert result.outcome.accepted
    seen = [stock.ats for stock in await reading]
    assert seen == sorted(seen, reverse=True), "a later answer is older than one before it"
    assert set(seen) == {1, 0}
    assert len(pages) == 200


async def test_units_are_what_availability_says_in_all(open_ledger: Opening, valkey: str, namespace: str) -> None:
    ledger = await stocked(open_ledger, valkey, namespace, 40, 3, NO_TIME)
    await ledger.apply([reserve("k", "S7", 5), level("S8", 100)])
    skus = [f"S{n}" for n in range(41)]  # one of them is unknown
    stocks = await ledger.availability(skus)
    assert await ledger.units(0, skus) == [SkuUnits(stock.sku, stock.seq, stock.ats) for stock in stocks]
    assert ledger.read_us(0) > 0
