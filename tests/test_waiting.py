"""Pauses between attempts: short enough for a server that is back, and not all at once."""

import structlog
from structlog.testing import capture_logs

from atp import waiting
from atp.waiting import Attempts, Pauses


class Clock:
    """Moves when told."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def monotonic(self) -> float:
        return self.now


def test_pauses_double_up_to_the_longest_and_begin_anew_after_what_held(monkeypatch) -> None:
    clock = Clock()
    monkeypatch.setattr(waiting, "time", clock)
    monkeypatch.setattr(waiting.random, "uniform", lambda low, high: high)
    pauses = Pauses(0.1, 0.4)
    taken = []
    for _ in range(5):
        taken.append(pauses.next())
        clock.now += taken[-1]
    assert taken == [0.1, 0.2, 0.4, 0.4, 0.4]
    clock.now += 0.5
    assert pauses.next() == 0.1


def test_those_who_wait_do_not_come_together() -> None:
    first = {Pauses(0.4, 0.4).next() for _ in range(20)}
    assert len(first) > 10
    assert all(0.2 <= pause <= 0.4 for pause in first)


def test_a_change_is_told_once() -> None:
    with capture_logs() as told:
        attempts = Attempts(structlog.get_logger().bind(loop="reading"), 0.1, 0.4)
        attempts.succeeded()
        for _ in range(3):
            attempts.failed(ConnectionError("away"))
        attempts.failed(TimeoutError())
        attempts.succeeded()
        attempts.succeeded()
    assert [(line["event"], line.get("error")) for line in told] == [
        ("waiting", "ConnectionError"),
        ("waiting", "TimeoutError"),
        ("going on", None),
    ]
