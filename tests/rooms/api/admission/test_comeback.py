"""When those who are refused are told to come back: what callers who obey make of it, without a clock."""

import pytest

from atp.api.admission import AdmissionSettings
from atp.api.admission.comeback import Comeback
from atp.api.admission.refusals import spread

LOOK_S = 0.1
SHARE = AdmissionSettings().comeback_share


def obey(comeback: Comeback, callers: int, drain: float, seconds: float) -> list[float]:
    """Refusals a second, look by look, while so many callers too many come back when they were told to."""
    due, now, refused_at, rates = [0.0] * callers, 0.0, -1.0, list[float]()
    while now < seconds:
        now += LOOK_S
        back = [time for time in due if time <= now]
        due = [time for time in due if time > now]
        due += [now + spread(comeback.after_s) for _ in back]
        refused = len(back)
        refused_at = now if refused else refused_at
        comeback.look(refused, 0, drain, LOOK_S, lasts=now - refused_at < 1)
        rates.append(refused / LOOK_S)
    return rates


@pytest.mark.parametrize("callers", [500, 2_500])
def test_refusals_become_few_whatever_the_number_of_callers(callers: int) -> None:
    rates = obey(Comeback(SHARE), callers, 4_000.0, 120.0)
    settled = rates[-600:]
    assert sum(settled) / len(settled) == pytest.approx(4_000 * SHARE, rel=0.35)


def test_it_begins_with_a_second_and_grows_as_the_overload_lasts() -> None:
    comeback = Comeback(0.05)
    assert comeback.after_s == 1
    seen = list[float]()
    for _ in range(50):
        comeback.look(300, 2_000, 4_000.0, LOOK_S, lasts=True)
        seen.append(comeback.after_s)
    assert seen == sorted(seen)
    assert seen[4] == 1
    assert seen[19] == pytest.approx(4)  # after two seconds


def test_it_is_half_a_minute_at_most_and_short_again_when_nobody_is_refused() -> None:
    comeback = Comeback(0.05)
    for _ in range(600):
        comeback.look(100, 10_000, 0.0, LOOK_S, lasts=True)
    assert comeback.after_s == 30
    for _ in range(650):
        comeback.look(0, 0, 4_000.0, LOOK_S, lasts=False)
    assert comeback.after_s == 1


def test_a_crowd_that_comes_once_is_not_sent_away_for_long() -> None:
    comeback = Comeback(0.05)
    comeback.look(4_000, 2_000, 4_000.0, LOOK_S, lasts=True)
    assert comeback.after_s == 1
