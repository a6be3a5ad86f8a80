"""The sold-out hint: it spares the ledger a look at the stock, and nobody is told no who has won (R7)."""

import time
from itertools import count

import pytest
from msgspec import structs

from atp.domain.commands import Adjust, Change, PutPolicy, Release, Reserve, ReserveLine
from atp.domain.ids import reservation_id
from atp.domain.outcomes import HINTED, Outcome
from atp.domain.records import Shortfall
from atp.domain.results import Result
from atp.ledger import Ledger, LedgerBusy
from atp.ledger.hints import HINT_S, Hints
from atp.ledger.pending import Pending
from tests.support import patient_ledger, wait_until_async

from .conftest import Opening
from .made import confirm, level, reserve

pytestmark = pytest.mark.anyio

_keys = count()


async def hinted(ledger: Ledger, like: Reserve | None = None) -> Result:
    """A refusal by a hint; a slow machine may need several attempts to be quick enough."""
    found: list[Result] = []

    async def again() -> bool:
        key = f"again {next(_keys)}"
        command = like or reserve(key)
        found.append(await ledger.submit(structs.replace(command, id=reservation_id("shop", key, "A"))))
        assert found[-1].outcome is Outcome.INSUFFICIENT
        return found[-1].detail == HINTED

    await wait_until_async(again, description="a refusal by a hint")
    return found[-1]


async def test_the_winner_who_lost_the_answer_is_a_winner(ledger: Ledger) -> None:
    """The counterexample of R7: the sku is sold out because of the request that is repeated."""
    await ledger.apply([level("A", 1)])
    lost = ledger.submit(reserve("winner"))
    await wait_until_async(lambda: not ledger.load, description="it is on its way")
    lost.cancel()  # nobody hears the answer
    refusal = await hinted(ledger)
    (figures,) = refusal.shortfalls
    assert (figures.requested, figures.available, figures.held_by_others) == (1, 0, 1)
    while True:
        assert (await hinted(ledger)).detail == HINTED  # the hint stands while the winner asks
        repeat = await ledger.submit(reserve("winner"))
        assert (repeat.outcome, repeat.replayed) == (Outcome.REPLAYED, True)
        if (await ledger.submit(reserve(f"other {next(_keys)}"))).detail == HINTED:
            break
    other = await ledger.submit(structs.replace(reserve("winner"), fingerprint=2))
    assert other.outcome is Outcome.KEY_REUSED


async def test_a_remembered_refusal_is_its_replay_and_a_hinted_one_is_not_remembered(ledger: Ledger) -> None:
    await ledger.apply([level("A", 1), reserve("winner"), reserve("loser")])
    await hinted(ledger)
    assert (await ledger.submit(reserve("loser"))).replayed
    key = ""
    while not key:
        key = f"hinted {next(_keys)}"
        if (await ledger.submit(reserve(key))).detail != HINTED:
            key = ""
    await ledger.submit(Release(reservation_id("shop", "winner", "A"), Change(1, 1), "", []))
    assert (await ledger.submit(reserve(key))).outcome is Outcome.APPLIED


@pytest.mark.parametrize(
    "freeing",
    [
        Release(reservation_id("shop", "winner", "A"), Change(1, 1), "", []),
        level("A", 5, 2),
        Adjust("A", "DC1", 2, 1, 1, "counted", "manager", "cause"),
        PutPolicy("item", "A", "{}"),
        structs.replace(reserve("moved", "B"), replaces=reservation_id("shop", "winner", "A")),
    ],
    ids=lambda command: type(command).__name__,
)
async def test_what_frees_units_ends_the_hint_at_once(ledger: Ledger, freeing: object) -> None:
    await ledger.apply([level("A", 1), level("B", 1), reserve("winner")])
    await hinted(ledger)
    (result,) = await ledger.apply([freeing])  # pyright: ignore[reportArgumentType]
    assert result.outcome is Outcome.APPLIED
    after = await ledger.submit(reserve("after"))
    assert after.detail != HINTED
    assert isinstance(freeing, PutPolicy) or after.outcome is Outcome.APPLIED


async def test_who_comes_behind_a_release_in_one_batch_is_not_refused_unseen(ledger: Ledger) -> None:
    await ledger.apply([level("A", 1)])
    (won,) = await ledger.apply([reserve("winner")])
    assert won.reservation is not None
    await hinted(ledger)
    given_back = ledger.submit(Release(won.reservation.id, Change(1, 1), "", []))
    next_one = ledger.submit(reserve("next"))
    assert [(await given_back).outcome, (await next_one).outcome] == [Outcome.APPLIED, Outcome.APPLIED]


async def test_what_takes_units_leaves_the_hint(ledger: Ledger) -> None:
    await ledger.apply([level("A", 1), level("B", 99), reserve("winner")])

    async def stands() -> bool:
        await hinted(ledger)
        results = await ledger.apply([reserve(f"b {next(_keys)}", "B"), confirm("winner"), reserve(str(next(_keys)))])
        return results[-1].detail == HINTED

    await wait_until_async(stands, description="a refusal by a hint behind other commands")


async def test_units_that_another_process_frees_are_sold_within_the_hint_s_time(
    open_ledger: Opening, valkey: str, namespace: str
) -> None:
    one, two = [await open_ledger(patient_ledger(valkey, namespace)) for _ in range(2)]
    await one.apply([level("A", 1), reserve("winner")])
    await hinted(one)
    freed = time.monotonic()
    await two.submit(Release(reservation_id("shop", "winner", "A"), Change(1, 1), "", []))
    while (result := await one.submit(reserve(str(next(_keys))))).outcome is not Outcome.APPLIED:
        assert result.detail == HINTED
        assert time.monotonic() - freed < HINT_S + 5  # the machine may be slow, the hint is not


async def test_who_finds_units_of_another_process_ends_the_hint(
    open_ledger: Opening, valkey: str, namespace: str
) -> None:
    """Behind a release of another sku a reserve travels itself; those after it are not refused by what it disproved."""
    one, two = [await open_ledger(patient_ledger(valkey, namespace)) for _ in range(2)]
    await one.apply([level("A", 1), level("B", 9), reserve("winner")])
    while True:
        key = f"b {next(_keys)}"
        await one.submit(reserve(key, "B"))
        await hinted(one)
        known = time.monotonic()
        await two.apply([level("A", 9, next(_keys) + 2)])
        released = one.submit(Release(reservation_id("shop", key, "B"), Change(1, 1), "", []))
        found = one.submit(reserve(f"found {key}"))
        await released
        assert (await found).outcome is Outcome.APPLIED
        after = await one.submit(reserve(f"after {key}"))
        assert after.outcome is Outcome.APPLIED
        if time.monotonic() - known < HINT_S:
            break
        await one.apply([level("A", 0, next(_keys) + 2)])


async def test_the_hint_speaks_of_its_scope_alone(ledger: Ledger) -> None:
    await ledger.put_policy(PutPolicy("location", "DC2", '{"kind":"warehouse"}'))
    await ledger.apply([level("A", 1), structs.replace(level("A", 5), location="DC2")])
    located = structs.replace(reserve("located"), lines=[ReserveLine("1", "A", 1, "DC1")])
    assert (await ledger.submit(located)).outcome is Outcome.APPLIED
    refusal = await hinted(ledger, located)
    assert refusal.shortfalls[0].other_locations == [("DC2", 5)]
    assert (await ledger.submit(reserve("anywhere"))).outcome is Outcome.APPLIED
    basket = structs.replace(located, lines=[ReserveLine("1", "A", 1, "DC2"), ReserveLine("2", "A", 4, "DC1")])
    await hinted(ledger, located)
    refusal = await ledger.submit(structs.replace(basket, id=reservation_id("shop", "basket", "A")))
    assert [(s.line, s.requested, s.available) for s in refusal.shortfalls] == [(1, 4, 0)]
    quote = await ledger.submit(structs.replace(located, id=reservation_id("shop", "quote", "A"), dry_run=True))
    assert quote.detail != HINTED  # it has no identity to look up


async def test_who_is_shed_is_never_refused_for_good(ledger: Ledger) -> None:
    await ledger.apply([level("A", 1), reserve("winner")])
    await hinted(ledger)
    (batcher,) = ledger._batchers
    batcher.limits = structs.replace(batcher.limits, queue_max=0)
    with pytest.raises(LedgerBusy):
        ledger.submit(reserve("shed"))


def pending(command: Reserve) -> Pending:
    return Pending(command, None, 0.0)  # pyright: ignore[reportArgumentType] - nobody waits for it


def sold_out(at: float) -> Hints:
    hints = Hints()
    refusal = Result(Outcome.INSUFFICIENT, 9, None, [Shortfall(0, "A", 1, 0, 1, [], 0, "")])
    hints.learn(reserve("first"), refusal, at)
    return hints


def test_a_hold_that_falls_due_ends_every_hint() -> None:
    for next_due, now, stands in ((0, 10.0, True), (11, 10.0, True), (10, 10.0, False)):
        hints = sold_out(time.monotonic())
        hints.forget_due(next_due, now)
        waiting = pending(reserve("second"))
        hints.stand_in(waiting)
        assert bool(waiting.hinted) is stands


def test_figures_that_became_too_old_on_the_way_are_read_anew() -> None:
    hints = sold_out(time.monotonic())
    waiting = pending(reserve("second"))
    hints.stand_in(waiting)
    assert waiting.hinted
    waiting.hinted = structs.replace(waiting.hinted, at=time.monotonic() - HINT_S - 0.01)
    assert hints.answer(waiting, Result(Outcome.NOT_FOUND, 9)) is None
    assert waiting.command == reserve("second")
    hints = sold_out(time.monotonic() - HINT_S - 0.01)
    hints.stand_in(waiting)
    assert waiting.hinted is None


def test_a_reading_of_few_units_ends_what_was_known_before() -> None:
    hints = sold_out(time.monotonic())
    few = Result(Outcome.INSUFFICIENT, 9, None, [Shortfall(0, "A", 2, 1, 1, [], 0, "")])
    hints.learn(reserve("wants two", quantity=2), few, time.monotonic())
    late = pending(reserve("late"))
    hints.stand_in(late)
    assert late.hinted is None


def test_few_units_are_not_none() -> None:
    hints = Hints()
    refusal = Result(Outcome.INSUFFICIENT, 9, None, [Shortfall(0, "A", 5, 4, 1, [], 0, "")])
    hints.learn(reserve("big", quantity=5), refusal, time.monotonic())
    waiting = pending(reserve("small"))
    hints.stand_in(waiting)
    assert waiting.hinted is None
