"""A command that waits for its answer, and the answers that are none."""

import asyncio
from collections.abc import Sequence

from msgspec import Struct, structs

from atp.domain.commands import Command, Reserve
from atp.domain.outcomes import Outcome
from atp.domain.records import Shortfall
from atp.domain.results import Result
from atp.ledger.answers import Place
from atp.ledger.errors import BasketInProgress, LedgerBusy, LedgerError


class Hinted(Struct, frozen=True):
    """A reserve that travels as a look-up: itself, and the refusal if it is a new one (R7)."""

    at: float  # of the reading, monotonic
    reserve: Reserve
    shortfalls: list[Shortfall]


class Pending(Struct):
    """A command, who waits for it, and until when (monotonic)."""

    command: Command
    future: asyncio.Future[Result] | Place
    deadline: float
    weight: float = 1.0  # lines: what it asks of the script
    contended: Result | None = None  # the answer should its time pass: only tentative units were missing (R3)
    pause_s: float = 0.001
    hinted: Hinted | None = None  # what it stands for


def refuse_contended(pending: Pending, result: Result) -> None:
    """The time is up and the units are still another basket's: a refusal; without figures, an attempt under way."""
    if pending.future.done():
        return
    if result.shortfalls:
        pending.future.set_result(structs.replace(result, outcome=Outcome.INSUFFICIENT))
    else:
        pending.future.set_exception(BasketInProgress("this basket is being decided"))


def refuse_late(pending: Pending) -> None:
    """The time is up before the command was sent, or sent again."""
    if pending.contended is not None:
        refuse_contended(pending, pending.contended)
    else:
        pending.future.set_exception(LedgerBusy("the command waited too long and was not sent"))


def expire(batch: list[Pending], problem: LedgerError) -> list[Pending]:
    """Answer those whose time is up, or would be before another attempt ends; the others may go on."""
    now = asyncio.get_running_loop().time()
    fail([p for p in batch if p.deadline <= now], problem)
    return [p for p in batch if p.deadline > now and not p.future.done()]


def fail(batch: Sequence[Pending], problem: LedgerError) -> None:
    for pending in batch:
        if not pending.future.done():
            pending.future.set_exception(type(problem)(str(problem)))
