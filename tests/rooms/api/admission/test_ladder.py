"""The steps: what asks for them, what they close, and how they are left."""

import asyncio
import time
from itertools import pairwise

import pytest

from atp.api.admission import AdmissionSettings, Class, Control, Gate
from atp.api.admission.ladder import Ladder, Signals, Step, closed, pressure, state
from atp.api.problems import LEDGER_UNAVAILABLE, OVERLOADED, RECOVERING
from atp.ledger import LedgerUnavailable
from atp.ledger.batcher import Batcher
from atp.ledger.gauges import Gauges
from atp.ledger.limits import Limits

pytestmark = pytest.mark.anyio

P0, P1, P2, P3, IDLE = Class


@pytest.mark.parametrize(
    ("signals", "step", "shut"),
    [
        (Signals(), Step.NORMAL, {}),
        (Signals(waited=True), Step.READS_FROM_VIEW, {}),
        (Signals(batch_s=0.06), Step.READS_FROM_VIEW, {}),
        (Signals(lag_s=0.06), Step.READS_FROM_VIEW, {}),
        (Signals(crowded=True), Step.NO_BULK, {P3: OVERLOADED}),
        (Signals(batch_s=0.2), Step.NO_BULK, {P3: OVERLOADED}),
        (Signals(lag_s=0.3), Step.NO_BULK, {P3: OVERLOADED}),
        (Signals(lag_s=0.6), Step.NO_READS, {P3: OVERLOADED, P2: OVERLOADED, IDLE: OVERLOADED}),
        (Signals(memory=0.85), Step.NO_READS, {P3: OVERLOADED, P2: OVERLOADED, IDLE: OVERLOADED}),
        (Signals(memory=0.95), Step.P0_ONLY, dict.fromkeys((P1, P2, P3, IDLE), OVERLOADED)),
        (Signals(p0_crowded=True), Step.P0_ONLY, dict.fromkeys((P1, P2, P3, IDLE), OVERLOADED)),
        (Signals(outbox=0.5), Step.NO_BULK, {P3: OVERLOADED}),
        (Signals(outbox=0.8), Step.P0_ONLY, {P3: OVERLOADED, P1: LEDGER_UNAVAILABLE}),
        (Signals(away=True), Step.LEDGER_AWAY, {P1: LEDGER_UNAVAILABLE}),
        (Signals(away=True, recovering=True), Step.LEDGER_AWAY, {P1: RECOVERING}),
        (Signals(away=True, crowded=True), Step.LEDGER_AWAY, {P1: LEDGER_UNAVAILABLE, P3: OVERLOADED}),
    ],
)
def test_what_is_given_up(signals: Signals, step: Step, shut: dict[Class, object]) -> None:
    pressed = pressure(signals)[0]
    assert max(pressed, state(signals)[0]) is step
    assert closed(pressed, signals) == shut
    assert P0 not in closed(pressed, signals)


def test_up_at_once_and_down_one_step_at_a_time() -> None:
    ladder, seen = Ladder(10), []
    ladder.update(Step.P0_ONLY, 0.0)
    for now in range(1, 41):
        ladder.update(Step.NORMAL, float(now))
        seen.append((now, ladder.pressed))
    changes = [seen[0]] + [each for before, each in pairwise(seen) if before[1] is not each[1]]
    assert changes == [
        (1, Step.P0_ONLY), (10, Step.NO_READS), (20, Step.NO_BULK), (30, Step.READS_FROM_VIEW), (40, Step.NORMAL)
    ]  # fmt: skip


def test_pressure_that_lasts_keeps_the_step() -> None:
    ladder = Ladder(10)
    for now in range(0, 100, 5):
        assert ladder.update(Step.NO_BULK, float(now)) is Step.NO_BULK
    assert ladder.update(Step.NORMAL, 104.0) is Step.NO_BULK
    assert ladder.update(Step.NORMAL, 105.0) is Step.READS_FROM_VIEW


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def made() -> tuple[Control, Batcher, Clock]:
    """Control beside a partition whose batcher nobody started."""
    batcher, clock = Batcher("redis://nowhere", "test", 0, "p", Limits()), Clock()
    return Control(AdmissionSettings(), Gauges([batcher], 100), clock), batcher, clock


def look(control: Control, clock: Clock, times: int = 1, lag_s: float = 0.0) -> None:
    for _ in range(times):
        clock.now += 0.1
        control.look(lag_s)


def fill(gate: Gate, cls: Class) -> int:
    """Take all slots the class can have now; how many."""
    taken = 0
    while gate.enter(cls):
        taken += 1
    return taken


async def test_after_overload_and_silence_a_single_request_is_answered_at_once() -> None:
    control, _, clock = made()
    gate = control.gate
    crowd = [fill(gate, cls) for cls in (P0, P1, P2, P3)]
    waiting = [asyncio.ensure_future(gate.wait(cls)) for cls in (P0, P1, P2, P3) for _ in range(400)]
    while not all(each.done() for each in waiting):  # seconds of answers that take three, and a loop that is late
        await asyncio.sleep(0)
        gate.counts.seconds += [3.0] * 100
        look(control, clock, lag_s=0.6)
        gate.look()
    assert {await each for each in waiting} == {OVERLOADED}
    assert control.step is Step.P0_ONLY
    assert gate.limit < 100
    for cls, taken in zip((P0, P1, P2, P3), crowd, strict=True):
        for _ in range(taken):
            gate.leave(cls, 3.0)
    assert not gate.enter(P1)

    look(control, clock, 12)  # nobody asks for a second
    for cls in (P1, P2, P3, IDLE):
        assert fill(gate, cls) == 16  # a crowd is not let in before the step is left
    assert gate.enter(P0)
    assert control.step is Step.P0_ONLY


def test_a_ledger_that_was_away_leaves_no_step() -> None:
    control, batcher, clock = made()
    batcher.away, batcher.asked_at = LedgerUnavailable("gone"), time.monotonic() - 5  # a call that is not answered
    look(control, clock, 12)
    assert control.gate.enter(P2)  # from the view
    batcher.away, batcher.asked_at = None, 0.0
    look(control, clock)
    assert control.step is Step.NORMAL
    assert fill(control.gate, P1) == 345


def test_a_ledger_that_comes_back_is_used_at_once() -> None:
    control, batcher, clock = made()
    batcher.away = LedgerUnavailable("gone")
    look(control, clock)
    assert control.step is Step.LEDGER_AWAY
    assert not control.gate.enter(P1)
    assert control.gate.enter(P0)  # its own answer says more than the door's
    batcher.away = None
    control.gate.reconsider()
    assert control.gate.enter(P1)
    look(control, clock)
    assert control.step is Step.NORMAL


def test_one_late_look_says_nothing() -> None:
    control, _, clock = made()
    look(control, clock, 9, lag_s=5.0)
    assert control.step is Step.NORMAL
    control, _, clock = made()
    look(control, clock, 10)
    look(control, clock, 4, lag_s=5.0)
    assert control.step is Step.NORMAL
    look(control, clock, 2, lag_s=5.0)
    assert control.step is Step.NO_READS


def test_answers_that_become_slow_leave_fewer_slots_and_quick_ones_more() -> None:
    control, _, clock = made()
    fill(control.gate, P1)
    for _ in range(20):
        control.gate.counts.seconds += [0.9] * 60
        look(control, clock)
    slow = control.gate.limit
    assert slow < 100
    assert control.gate.p50_s == 0.9
    assert 300 < control.gate.drain <= 600
    for _ in range(345):
        control.gate.leave(P1, 0.0)
    look(control, clock, 20)  # nobody asks
    assert control.gate.limit == 384
    assert control.gate.p50_s < 0.02  # else a caller in a hurry would never be let in again
