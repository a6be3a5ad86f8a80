"""The limit's arithmetic: by table, and as a closed loop of callers in virtual time."""

import pytest

from atp.api.admission.limit import Limit, measured, next_limit

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
        limit.update([took] * int(per_second / 10), busy=True)
        seen.append(limit.value)
    return seen


@pytest.mark.parametrize("callers", [1, 64, 256])
@pytest.mark.parametrize("per_second", [1_000, 5_000, 20_000])
def test_a_closed_loop_is_no_overload(callers: int, per_second: float) -> None:
    assert min(closed_loop(callers, per_second)) * 0.9 >= callers  # P1's ceiling


def test_a_ledger_that_became_slow_gets_fewer() -> None:
    assert closed_loop(384, 300)[-1] == pytest.approx(90, abs=20)  # about what it answers within the target
    assert closed_loop(384, 30, 60)[-1] == pytest.approx(LOW, abs=5)
