"""The search for an order, by itself: what it must accept, and what it must not."""

import itertools
from random import Random

import pytest

from .checkers import linear
from .checkers.linear import Event, Undecided, explain


def take(units: int, began: float, ended: float = float("inf")) -> Event:
    return Event("take", units, began, ended)


def lack(units: int, began: float, ended: float, free: int = -1) -> Event:
    return Event("lack", units, began, ended, free)


def give(units: int, began: float, ended: float = float("inf")) -> Event:
    return Event("give", units, began, ended)


def test_units_are_taken_until_none_is_left() -> None:
    assert explain([take(2, 0, 1), take(1, 2, 3), lack(1, 4, 5, 0)], 3) is None


def test_more_taken_than_there_is_has_no_order() -> None:
    wrong = take(2, 2, 3)
    assert explain([take(2, 0, 1), wrong], 3) == wrong


def test_a_refusal_while_units_are_free_has_no_order() -> None:
    wrong = lack(1, 2, 3)
    assert explain([take(2, 0, 1), wrong], 3) == wrong


def test_what_overlaps_may_have_happened_in_any_order() -> None:
    assert explain([take(3, 0, 9), lack(1, 1, 2)], 3) is None
    assert explain([lack(1, 0, 1), take(3, 2, 3)], 3) is not None


def test_a_refusal_names_what_was_free() -> None:
    assert explain([take(2, 0, 1), lack(3, 2, 3, 1)], 3) is None
    assert explain([take(2, 0, 1), lack(3, 2, 3, 2)], 3) is not None


def test_units_given_back_can_be_taken_again_but_not_before() -> None:
    assert explain([take(3, 0, 1), give(3, 2, 3), take(3, 4, 5)], 3) is None
    assert explain([take(3, 0, 1), take(3, 2, 3), give(3, 4, 5)], 3) is not None


def test_an_unknown_operation_may_take_effect_at_any_later_time_or_never() -> None:
    assert explain([give(1, 0), lack(1, 1, 2), take(1, 3, 4)], 0) is None
    assert explain([give(1, 0), lack(1, 1, 2), lack(1, 3, 4)], 0) is None
    assert explain([lack(1, 0, 1), take(1, 1.5, 1.7), give(1, 2)], 0) is not None


def test_it_agrees_with_trying_every_order() -> None:
    chance = Random(5)
    answers = []
    for _ in range(400):
        events = [_drawn(chance) for _ in range(5)]
        answers.append(_any_order(events, 2))
        assert (explain(events, 2) is None) == answers[-1], events
    assert 40 < sum(answers) < 360


def test_too_much_at_once_is_not_called_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear, "STATES_MAX", 2_000)
    events = [Event("take", units, 0) for units in range(1, 40)] + [take(1, 1, 2)]
    with pytest.raises(Undecided):
        explain(events, 10_000)


def _drawn(chance: Random) -> Event:
    what = chance.choice(("take", "lack", "give"))
    began = chance.randint(0, 8)
    return Event(what, chance.randint(1, 2), began, began + chance.choice((1, 3, 6)) + 0.5)


def _any_order(events: list[Event], free: int) -> bool:
    for order in itertools.permutations(events):
        if all(a.began <= b.ended for a, b in itertools.combinations(order, 2)):
            units = free
            for event in order:
                units = event.after(units)
                if units < 0:
                    break
            else:
                return True
    return False
