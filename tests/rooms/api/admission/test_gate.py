"""Slots, shares, ceilings and lines, on a clock of the test's own."""

import asyncio

import pytest

from atp.api.admission import AdmissionSettings, Class, Gate
from atp.api.admission.gate import LOOK_S
from atp.api.problems import DEADLINE_TOO_SHORT, LEDGER_UNAVAILABLE, OVERLOADED, Kind

pytestmark = pytest.mark.anyio

P0, P1, P2, P3, IDLE = Class
SETTINGS = AdmissionSettings(slots_max=100, idle_max=3)

LEFT = 30  # of P1's slots, to who comes next: three quarters of its share


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def gate(clock: Clock) -> Gate:
    return Gate(SETTINGS, clock)


def fill(gate: Gate, cls: Class) -> int:
    """Take all slots the class can have now; how many."""
    taken = 0
    while gate.enter(cls):
        taken += 1
    return taken


def come(gate: Gate, cls: Class, client: str = "", remaining_s: float = 0.0) -> "asyncio.Task[Kind | None]":
    return asyncio.ensure_future(gate.wait(cls, client, remaining_s))


async def settled() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def later(gate: Gate, clock: Clock, seconds: float) -> None:
    """Time passes, and the gate looks."""
    clock.now += seconds
    gate.look()
    await settled()


@pytest.mark.parametrize(("cls", "most"), [(P0, 100), (P1, 90), (P2, 75), (P3, 60), (IDLE, 3)])
def test_a_class_alone_has_its_ceiling(gate: Gate, cls: Class, most: int) -> None:
    assert fill(gate, cls) == most


def test_every_class_keeps_its_share_whatever_the_others_took(gate: Gate) -> None:
    assert [fill(gate, cls) for cls in (P1, P2, P3, P0, IDLE)] == [90, 15, 5, 40, 3]
    assert gate.total == 150  # those who wait idly are not counted


def test_slots_come_back(gate: Gate) -> None:
    fill(gate, P1)
    gate.leave(P1, 0.02)
    assert gate.enter(P1)
    assert not gate.enter(P1)
    assert gate.counts.seconds == [0.02]


async def test_a_free_slot_goes_to_the_more_important_class(gate: Gate) -> None:
    for cls in (P1, P2, P3, P0):
        fill(gate, cls)
    waiting = [come(gate, cls) for cls in (P3, P2, P1, P0)]
    await settled()
    for _ in range(51):  # one below the limit, and P1 below its share
        gate.leave(P1, 0.01)
    await settled()
    assert [task.done() for task in waiting] == [False, False, True, True]
    for task in waiting:
        task.cancel()


async def test_a_line_that_passes_is_served_in_order(gate: Gate, clock: Clock) -> None:
    fill(gate, P1)
    first, second = come(gate, P1), come(gate, P1)
    await settled()
    clock.now += 0.09
    gate.leave(P1, 0.01)
    await settled()
    assert (first.done(), second.done()) == (True, False)
    assert await first is None
    second.cancel()


async def crowd(gate: Gate, clock: Clock) -> None:
    """Leave a line of P1 that stands, of which one was just refused, and that is empty now."""
    fill(gate, P1)
    old = come(gate, P1)
    await settled()
    await later(gate, clock, 0.11)
    assert await old is OVERLOADED


async def test_of_a_line_that_stands_the_newest_is_served_and_the_oldest_refused(gate: Gate, clock: Clock) -> None:
    fill(gate, P1)
    old = come(gate, P1)
    await settled()
    await later(gate, clock, 0.099)
    assert not old.done()
    new = [come(gate, P1) for _ in range(2)]
    await settled()
    clock.now += 0.004
    for _ in range(LEFT + 1):
        gate.leave(P1, 0.01)
    await settled()
    assert [new[0].done(), new[1].done()] == [False, True]
    await later(gate, clock, 0)
    assert await old is OVERLOADED
    assert not new[0].done()  # younger than the target
    await later(gate, clock, 0.002)
    assert await new[0] is OVERLOADED
    assert gate.waiting == 0


async def test_what_was_sold_waits_longer_than_what_is_sold(gate: Gate, clock: Clock) -> None:
    fill(gate, P1)
    fill(gate, P0)
    sell, confirm = come(gate, P1), come(gate, P0)
    await settled()
    await later(gate, clock, 1.0)
    assert (sell.done(), confirm.done()) == (True, False)
    await later(gate, clock, 1.0)
    assert await confirm is OVERLOADED


async def test_clients_take_turns(gate: Gate) -> None:
    fill(gate, P1)
    order: list[str] = []
    tasks = [come(gate, P1, client) for client in ["greedy"] * 6 + ["modest"] * 2]
    for task, client in zip(tasks, ["greedy"] * 6 + ["modest"] * 2, strict=True):
        task.add_done_callback(lambda _, client=client: order.append(client))
    await settled()
    for _ in range(8):
        gate.leave(P1, 0.01)
        await settled()
    assert order == ["greedy", "modest", "greedy", "modest", "greedy", "greedy", "greedy", "greedy"]


async def test_refusals_may_not_displace_the_work(gate: Gate, clock: Clock) -> None:
    gate.drain = 10_000.0  # so 1,000 refusals a second
    fill(gate, P1)
    tasks = [come(gate, P1) for _ in range(150)]
    await settled()
    await later(gate, clock, 0.11)
    first = sum(task.done() for task in tasks)
    assert first == 100  # what a tenth of a second may cost, at most
    await later(gate, clock, 0.0101)
    assert sum(task.done() for task in tasks) == 110
    assert not tasks[-1].done()
    await later(gate, clock, 2.0)
    assert all(task.done() for task in tasks)  # nobody waits longer than that


async def test_a_closed_class_is_refused_and_the_others_are_not(gate: Gate, clock: Clock) -> None:
    gate.resize(100, {P3: OVERLOADED})
    assert not gate.enter(P3)
    bulk = come(gate, P3)
    await settled()
    await later(gate, clock, 0.001)
    assert await bulk is OVERLOADED
    assert gate.counts.crowded[P3] == 0  # it says nothing about slots
    assert gate.enter(P1)


async def test_a_ledger_that_answers_again_is_noticed_by_the_next_request(gate: Gate) -> None:
    gate.resize(100, {P1: LEDGER_UNAVAILABLE})
    assert await gate.wait(P1) is LEDGER_UNAVAILABLE
    gate.reconsider = lambda: gate.resize(100)
    assert await gate.wait(P1) is None
    assert gate.taken[P1] == 1


async def test_whoever_has_no_time_to_wait_is_told_so(gate: Gate, clock: Clock) -> None:
    gate.p50_s = 0.03
    fill(gate, P0)
    hurried, patient = come(gate, P0, remaining_s=0.05), come(gate, P0)
    await settled()
    clock.now += 0.03
    gate.leave(P0, 0.01)  # a slot, but what is left is less than an answer takes
    await settled()
    assert await hurried is DEADLINE_TOO_SHORT
    assert await patient is None


async def test_who_can_no_longer_be_answered_in_time_is_told_before_the_time_is_up(gate: Gate, clock: Clock) -> None:
    gate.p50_s = 0.03
    fill(gate, P0)
    hurried = come(gate, P0, remaining_s=0.1)
    await settled()
    await later(gate, clock, 0.06)
    assert not hurried.done()
    await later(gate, clock, 0.02)
    assert await hurried is DEADLINE_TOO_SHORT


async def test_a_caller_that_is_gone_leaves_no_trace(gate: Gate) -> None:
    fill(gate, P1)
    gone, there = come(gate, P1), come(gate, P1)
    await settled()
    gone.cancel()
    await settled()
    assert gate.waiting == 1
    gate.leave(P1, 0.01)
    assert await there is None
    assert (gate.waiting, gate.taken[P1]) == (0, 90)

    admitted = come(gate, P1)
    await settled()
    gate.leave(P1, 0.01)  # it has the slot, but is cancelled before it can go on
    admitted.cancel()
    await settled()
    assert gate.taken[P1] == 89


async def test_of_a_line_that_stands_slots_are_left_to_who_comes_next(gate: Gate, clock: Clock) -> None:
    await crowd(gate, clock)
    waits = come(gate, P1)
    await settled()
    for _ in range(LEFT):
        gate.leave(P1, 0.01)
    await settled()
    assert not waits.done()
    assert sum(gate.enter(P1) for _ in range(LEFT + 1)) == LEFT
    waits.cancel()


async def test_slots_are_not_left_while_clients_take_turns(gate: Gate, clock: Clock) -> None:
    await crowd(gate, clock)
    greedy, modest = come(gate, P1, "greedy"), come(gate, P1, "modest")
    await settled()
    gate.leave(P1, 0.01)
    await settled()
    assert (greedy.done(), modest.done()) == (True, False)
    modest.cancel()


async def test_what_was_sold_leaves_no_slot(gate: Gate, clock: Clock) -> None:
    await crowd(gate, clock)
    fill(gate, P0)
    confirm = come(gate, P0)
    await settled()
    gate.leave(P0, 0.01)
    await settled()
    assert confirm.done()


async def test_a_line_stands_until_nobody_was_refused_for_a_second(gate: Gate, clock: Clock) -> None:
    await crowd(gate, clock)
    await later(gate, clock, 0.9)
    again = come(gate, P1)
    await settled()
    await later(gate, clock, 0.006)
    assert await again is OVERLOADED  # it was not let wait for 0.1 s
    await later(gate, clock, 1.1)
    calm = come(gate, P1)
    await settled()
    await later(gate, clock, 0.09)
    assert not calm.done()
    calm.cancel()


async def test_a_smaller_limit_is_reached_by_leaving(gate: Gate) -> None:
    fill(gate, P1)
    gate.resize(50)
    for _ in range(45):
        gate.leave(P1, 0.01)
        assert not gate.enter(P1)
    gate.leave(P1, 0.01)
    assert gate.enter(P1)


async def test_nobody_is_refused_for_a_loop_that_stood_still(gate: Gate, clock: Clock) -> None:
    fill(gate, P1)
    first, second = come(gate, P1), come(gate, P1)
    await settled()
    clock.now += 5.0
    await asyncio.sleep(2 * LOOK_S)  # the timer finds that five seconds are gone
    assert not first.done()
    gate.leave(P1, 5.0)
    await settled()
    assert first.done()  # the oldest, as of a line that passes
    assert await first is None
    await later(gate, clock, 0.11)
    assert await second is OVERLOADED  # it waits in time that passes for all


async def test_of_a_line_that_stands_nobody_is_begun_late_unless_slots_are_empty(gate: Gate, clock: Clock) -> None:
    gate.p50_s = 0.1
    fill(gate, P1)
    gate._credit = -1_000  # no refusal has its turn
    old = [come(gate, P1) for _ in range(30)]
    await settled()
    await later(gate, clock, 0.2)
    new = come(gate, P1)
    await settled()
    clock.now += 0.02
    for _ in range(LEFT + 2):
        gate.leave(P1, 0.1)
    await settled()
    assert (new.done(), sum(task.done() for task in old)) == (True, 0)
    assert sum(gate.enter(P1) for _ in range(50)) == LEFT + 1  # for who comes next
    for _ in range(50):
        gate.leave(P1, 0.1)
    await settled()
    assert sum(task.done() for task in old) == 10  # half of the slots are taken
    for task in old:
        task.cancel()


async def test_refusals_for_a_ledger_that_is_away_are_paced_as_all_are(gate: Gate, clock: Clock) -> None:
    gate.resize(100, {P1: LEDGER_UNAVAILABLE})
    assert await gate.wait(P1) is LEDGER_UNAVAILABLE
    second, third = come(gate, P1), come(gate, P1)
    await settled()
    assert not second.done()
    await later(gate, clock, 0.011)
    assert await second is LEDGER_UNAVAILABLE
    gate.resize(100)  # it answers again
    assert await third is None
