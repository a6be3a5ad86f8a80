"""Answers that wait for the journal, whatever is told of it, in whichever order."""

import asyncio

import pytest

from atp.domain.outcomes import Outcome
from atp.domain.results import Result
from atp.ledger import LedgerUnavailable, OutcomeUnknown
from atp.ledger.pending import Pending
from atp.ledger.watermark import Watermark

from .made import reserve

pytestmark = pytest.mark.anyio


async def silent() -> tuple[int, int]:
    """The ledger does not answer looks."""
    raise LedgerUnavailable("away")


def waiting(watermark: Watermark, seq: int, within_s: float = 20.0) -> asyncio.Future[Result]:
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Result] = loop.create_future()
    watermark.hold(seq, [(Pending(reserve("a"), future, loop.time() + within_s), Result(Outcome.APPLIED, seq))])
    return future


async def test_what_was_read_before_is_no_news() -> None:
    """A look and a reply travel on two connections, so the older of them may come last."""
    watermark = Watermark(silent)
    watermark.learn(2, 100)
    answer = waiting(watermark, 101)
    watermark.learn(2, 90)
    watermark.learn(1, 95)
    assert not answer.done(), "the epoch before says nothing of this one"
    watermark.learn(2, 101)
    assert (await answer).seq == 101
    assert waiting(watermark, 101).done()
    await watermark.close()


async def test_a_newer_epoch_ends_the_waiting_and_a_dead_reader_only_time() -> None:
    watermark = Watermark(silent)
    watermark.learn(1, 100)
    late, later = waiting(watermark, 101, 0.0), waiting(watermark, 102)
    with pytest.raises(OutcomeUnknown):
        await late
    with pytest.raises(LedgerUnavailable):
        watermark.require()
    watermark.learn(2, 2**20)
    with pytest.raises(OutcomeUnknown):
        await later
    watermark.require()
    await watermark.close()
