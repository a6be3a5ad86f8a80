"""Answers: many commands of one caller, one wait; what fails or is given up fails or ends as a whole."""

import asyncio

import pytest

from atp.domain.outcomes import Outcome
from atp.domain.results import Result
from atp.ledger.answers import Answers
from atp.ledger.errors import LedgerBusy, OutcomeUnknown

pytestmark = pytest.mark.anyio


async def test_all_are_waited_for_and_stand_in_the_order_of_their_places() -> None:
    answers = Answers()
    first, second = answers.place(), answers.place()
    second.set_result(Result(Outcome.STALE))
    waiting = asyncio.create_task(answers.settled())
    await asyncio.sleep(0)
    assert not waiting.done()
    assert (first.done(), second.done()) == (False, True)
    first.set_result(Result(Outcome.APPLIED))
    await asyncio.wait_for(waiting, 5)
    assert [result.outcome for result in answers.results()] == [Outcome.APPLIED, Outcome.STALE]


async def test_the_first_failure_in_order_is_raised_when_all_have_their_answer() -> None:
    answers = Answers()
    places = [answers.place() for _ in range(3)]
    places[2].set_exception(OutcomeUnknown("later"))
    places[1].set_exception(LedgerBusy("sooner"))
    waiting = asyncio.create_task(answers.settled())
    await asyncio.sleep(0)
    assert not waiting.done()
    places[0].set_result(Result(Outcome.APPLIED))
    await asyncio.wait_for(waiting, 5)
    with pytest.raises(LedgerBusy):
        answers.results()


async def test_none_are_there_at_once() -> None:
    answers = Answers()
    await asyncio.wait_for(answers.settled(), 5)
    assert answers.results() == []


async def test_who_stops_waiting_needs_none_of_them_any_more() -> None:
    answers = Answers()
    places = [answers.place() for _ in range(2)]
    waiting = asyncio.create_task(answers.settled())
    await asyncio.sleep(0)
    assert not places[0].done()
    waiting.cancel()
    await asyncio.wait({waiting}, timeout=5)
    assert all(place.done() for place in places)
    places[0].set_result(Result(Outcome.APPLIED))  # it was sent, and comes all the same
    places[1].set_exception(LedgerBusy(""))


async def test_a_future_can_take_a_place() -> None:
    answers = Answers()
    done, failed, gone = futures = [asyncio.get_running_loop().create_future() for _ in range(3)]
    for future in futures:
        future.add_done_callback(answers.place().follow)
    done.set_result(Result(Outcome.APPLIED))
    failed.set_exception(LedgerBusy(""))
    gone.cancel()
    await asyncio.wait_for(answers.settled(), 5)
    assert [type(answer) for answer in answers.found] == [Result, LedgerBusy, asyncio.CancelledError]
