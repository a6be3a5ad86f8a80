"""The projection: whatever is promised within its capacity breaks no other promise."""

from random import Random

import pytest

from atp.domain.projection import Day, divide, lowest, peg

NAMES = [f"2026-12-{n:02}" for n in range(1, 13)]


def capacity(free: int, days: dict[str, Day], day: str, now: int) -> int:
    return max(0, lowest(free, days, day, now))


@pytest.mark.parametrize("seed", range(60))
def test_promises_within_the_capacity_never_overdraw_a_day_and_cost_each_later_one_the_same(seed: int) -> None:
    draw = Random(seed)
    free, now, days, kept = draw.randrange(-6, 12), 0, dict[str, Day](), 0
    for _ in range(150):
        day = draw.choice(["", *NAMES])
        if draw.random() < 0.1:  # deliveries come, move, shrink, are late; stock changes
            name = draw.choice(NAMES)
            at = days.setdefault(name, Day())
            at.quantity, at.starts_at = draw.choice([0, 3, 8, 15]), int(name[-2:])
            free, now = free + draw.choice([-1, 0, 2]), now + draw.choice([0, 0, 1])
        before = {name: capacity(free, days, name, now) for name in ["", *NAMES]}
        if not before[day]:
            continue
        quantity, low = draw.randint(1, before[day]), lowest(free, days, "", now)
        for units, supply in divide(before[""], days, day, now, quantity):
            assert units > 0
            if supply:
                assert supply <= day
                peg(days, supply, day, units)
            else:
                free -= units
        assert lowest(free, days, "", now) >= min(0, low)
        after = {name: capacity(free, days, name, now) for name in before}
        assert all(after[name] == before[name] - quantity for name in before if name >= day)
        assert all(after[name] <= before[name] for name in before)
        kept += quantity
    assert kept


def test_supply_named_for_a_day_that_later_supply_meets_as_well_is_named_again() -> None:
    days = {"2026-12-03": Day(1, 8)}
    peg(days, "2026-12-03", "2026-12-12", 8)
    days["2026-12-11"] = Day(1, 15)
    assert capacity(0, days, "2026-12-03", 0) == 8
    assert divide(0, days, "2026-12-03", 0, 5) == [(5, "2026-12-03")]
    assert divide(2, days, "2026-12-03", 0, 5) == [(2, ""), (3, "2026-12-03")]


def test_a_day_that_nothing_hangs_on_is_forgotten() -> None:
    days = {"2026-12-01": Day(1, 5)}
    peg(days, "2026-12-01", "2026-12-09", 4)
    assert {name: (at.quantity, at.pegged, at.due) for name, at in days.items()} == {
        "2026-12-01": (5, 4, 0),
        "2026-12-09": (0, 0, 4),
    }
    peg(days, "2026-12-01", "2026-12-09", -4)
    assert list(days) == ["2026-12-01"]
