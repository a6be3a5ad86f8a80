"""The limit's arithmetic: by table, and as a closed loop of callers in virtual time."""

import pytest

from atp.api.admission import AdmissionSettings, Class, Control
from atp.api.admission.limit import Limit, measured, next_limit
from atp.ledger.batcher import Batcher
from atp.ledger.gauges import Gauges
from atp.ledger.limits import Limits

TARGET, LOW, HIGH = 300.0, 16, 384


@pytest.mark.parametrize(
    ("limit", "p90_ms", "expected"),
    [
        (384, 40, 384),  # quick: as many as there may be
        (384, 0, 384),  # nobody asks
        (384, 299, 384),
        (100, 40, 125),  # quickly up while answers take less than half the target
        (16, 40, 20),
        (100, 200, 102),  # near the target by a root, smoothed
        (384, 600, 349.5),  # twice the target: a tenth less
        (384, 60_000, 349.5),  # never more than that at once
        (16, 600, 16),
    ],
)
def test_table(limit: float, p90_ms: float, expected: float) -> None:
    assert next_limit(limit, p90_ms, TARGET, LOW, HIGH) == pytest.approx(expected, abs=0.1)


def test_from_the_lowest_to_the_highest_within_two_seconds() -> None:
    limit, looks = float(LOW), 0
    while limit < HIGH:
        limit, looks = next_limit(limit, 10, TARGET, LOW, HIGH), looks + 1
    assert looks <= 20


def test_what_answers_took() -> None:
    taken = measured([n / 1000 for n in range(100, 0, -1)])
    assert (taken.p50, taken.p90) == (51, 91)


def closed_loop(callers: int, per_second: float, seconds: int = 20) -> list[float]:
    """The limits of a run: a server of ``per_second`` answers whoever is let in of callers who ask again at once."""
    limit, seen = Limit(TARGET, LOW, HIGH), []
    for _ in range(seconds * 10):
        took = min(callers, limit.value) / per_second
        limit.update([took] * int(per_second / 10), int(min(callers, limit.value)))
        seen.append(limit.value)
    return seen


@pytest.mark.parametrize("callers", [1, 64, 256])
@pytest.mark.parametrize("per_second", [1_000, 5_000, 20_000])
def test_a_closed_loop_is_no_overload(callers: int, per_second: float) -> None:
    assert min(closed_loop(callers, per_second)) * 0.9 >= callers  # P1's ceiling


def test_a_ledger_that_became_slow_gets_fewer() -> None:
    assert closed_loop(384, 300)[-1] == pytest.approx(90, abs=20)  # about what it answers within the target
    assert closed_loop(384, 30, 60)[-1] == pytest.approx(LOW, abs=5)


def test_slow_answers_to_a_few_leave_room_for_a_crowd() -> None:
    limit = Limit(TARGET, LOW, HIGH)
    for _ in range(600):  # a minute of five callers whose answers wait for a disk
        limit.update([0.7], 5)
    assert limit.value == HIGH
    assert limit.p50_s == 0.7


def test_one_stall_takes_no_slot() -> None:
    limit, lowest = Limit(TARGET, LOW, HIGH), float(HIGH)
    limit.update([], 256)
    for took in (5.0, 5.1, 0.2, 0.2, 0.1):  # what had waited for the loop is answered in two looks
        limit.update([took] * 128, 256)
        lowest = min(lowest, limit.value)
    assert lowest == HIGH


def test_what_answers_took_is_forgotten_though_a_long_import_goes_on() -> None:
    control = Control(AdmissionSettings(), Gauges([Batcher("redis://nowhere", "test", 0, "p", Limits())], 100))
    assert control.gate.enter(Class.P3)
    control.gate.counts.seconds += [3.0] * 60
    for _ in range(40):
        control.look()
    assert control.gate.p50_s < 0.01  # else a caller in a hurry would be refused for as long as it takes
