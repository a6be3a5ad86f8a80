"""Patience: who waits too long ends, nobody else does."""

import asyncio

import pytest

from atp.api.patience import Patience

pytestmark = pytest.mark.anyio


async def wait(patience: Patience, what: asyncio.Event) -> None:
    with patience:
        await what.wait()


async def test_who_waits_too_long_gets_a_timeout_and_can_go_on() -> None:
    patience, never = Patience(0.05), asyncio.Event()
    with pytest.raises(TimeoutError):
        await wait(patience, never)
    with pytest.raises(TimeoutError):  # the timer runs again for the next one
        await wait(patience, never)
    await asyncio.sleep(0)  # no cancellation is left behind
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_each_task_is_timed_by_itself() -> None:
    patience, go = Patience(30), asyncio.Event()
    impatient = Patience(0.05)
    waiting = [asyncio.create_task(wait(patience, go)) for _ in range(10)]
    late = asyncio.create_task(wait(impatient, go))
    with pytest.raises(TimeoutError):
        await late
    go.set()
    await asyncio.gather(*waiting)


async def test_a_cancellation_by_others_stays_one() -> None:
    task = asyncio.create_task(wait(Patience(30), asyncio.Event()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_other_errors_pass() -> None:
    with pytest.raises(ZeroDivisionError), Patience(30):
        _ = 1 / 0


def test_it_serves_one_loop_after_another() -> None:
    patience = Patience(0.05)
    for _ in range(2):
        with pytest.raises(TimeoutError):
            asyncio.run(wait(patience, asyncio.Event()))
