"""Pace: a call is as long as the ledger's speed allows, whatever machine it runs on."""

import asyncio

import pytest

from atp.ledger import Ledger
from atp.ledger.pace import LINES_MIN, TEACHING_LINES, Pace
from tests.support import patient_ledger

from .conftest import Opening
from .made import level, reserve

pytestmark = pytest.mark.anyio


def taught(pace: Pace, line_us: float, calls: int = 200) -> int:
    for _ in range(calls):
        pace.learn(pace.lines, int(pace.lines * line_us))
    return pace.lines


@pytest.mark.parametrize(("line_us", "lines"), [(5, 256), (20, 125), (50, 50), (5_000, LINES_MIN)])
def test_a_call_takes_what_the_goal_allows_at_the_ledgers_speed(line_us: float, lines: int) -> None:
    assert taught(Pace(2_500, 256), line_us) == pytest.approx(lines, abs=2)


def test_a_slower_moment_is_believed_sooner_than_a_faster_one() -> None:
    pace = Pace(5_000, 256)
    for call in range(400):
        pace.learn(pace.lines, pace.lines * (20 if call % 2 else 80))
    assert LINES_MIN < pace.lines < 92  # 100 would be their mean


def test_one_slow_call_does_not_make_the_next_ones_short() -> None:
    pace = Pace(2_500, 256)
    usual = taught(pace, 30)
    assert taught(pace, 60, calls=1) > usual * 0.9


def test_small_calls_teach_nothing() -> None:
    pace = Pace(2_500, 256)
    before = pace.lines
    pace.learn(TEACHING_LINES - 1, 10**9)
    assert pace.lines == before


def test_no_call_is_longer_than_the_bound_or_too_short_to_be_worth_it() -> None:
    assert taught(Pace(2_500, 10), 5_000) == 10
    assert taught(Pace(1, 256), 5_000) == LINES_MIN


async def test_what_the_script_says_of_its_time_shapes_the_next_calls(
    open_ledger: Opening, valkey: str, namespace: str
) -> None:
    async def calls_of(ledger: Ledger, name: str) -> int:
        before = ledger.batches[0]
        await asyncio.gather(*(ledger.submit(reserve(f"{name}{n}")) for n in range(480)))
        return ledger.batches[0] - before

    patient = await open_ledger(patient_ledger(valkey, namespace, script_us=10**9, lines_max=480))
    await patient.apply([level("A", 10**6)])
    assert await calls_of(patient, "patient") <= 2
    hasty = await open_ledger(patient_ledger(valkey, namespace, script_us=1))
    await calls_of(hasty, "first")
    assert await calls_of(hasty, "hasty") >= 480 // LINES_MIN
