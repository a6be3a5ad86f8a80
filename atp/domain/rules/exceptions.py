"""Exceptions: raised once while one with the same subject is open, and ended by a person or by the law itself."""

from atp.domain.commands import Raise, Resolve
from atp.domain.entries import ExceptionRaised, ExceptionResolved
from atp.domain.exceptions import OPEN_MAX, Kind, subject
from atp.domain.outcomes import Outcome
from atp.domain.results import Result
from atp.domain.rules.batch import Batch
from atp.domain.rules.remembering import answer, answered


def raise_exception(
    batch: Batch,
    kind: str,
    cause: str,
    sku: str = "",
    location: str = "",
    source: str = "",
    reservation: str = "",
    detail: str = "",
) -> bool:
    """Tell people, unless they are told already; whether it is news."""
    key, open = subject(kind, sku, location, source, reservation), batch.state.exceptions
    if key in open or len(open) >= OPEN_MAX:
        return False
    seq = open[key] = batch.next_seq()
    batch.entries.append(ExceptionRaised(seq, batch.now, "", cause, kind, sku, location, source, reservation, detail))
    return True


def end_exception(
    batch: Batch,
    kind: str,
    cause: str,
    sku: str = "",
    location: str = "",
    source: str = "",
    reservation: str = "",
    resolution: str = "over",
    reason: str = "",
    client: str = "",
) -> bool:
    """It is over, by itself or by a person's word; whether it was open."""
    raised = batch.state.exceptions.pop(subject(kind, sku, location, source, reservation), 0)
    if not raised:
        return False
    seq = batch.next_seq()
    batch.entries.append(ExceptionResolved(seq, batch.now, client, cause, kind, raised, resolution, reason))
    return True


def is_lost(batch: Batch) -> bool:
    """Whether acknowledged changes are gone and no person has accepted that yet: until then nothing is sold (R2)."""
    return subject(Kind.LOSS, "", "", "", "") in batch.state.exceptions


def raise_told(batch: Batch, c: Raise) -> Result:
    """A process found something outside the law."""
    news = raise_exception(batch, c.kind, c.cause, c.sku, c.location, c.source, c.reservation, c.detail)
    return Result(Outcome.APPLIED if news else Outcome.DUPLICATE, batch.state.seq)


def resolve(batch: Batch, c: Resolve) -> Result:
    """A person ends an exception; NOT_FOUND if it is not open, or if another one of its subject is by now.

    A shortage stays open for the law, which ends it when units cover promises again; people are done with it.
    """
    if done := answered(batch, c.call):
        return done
    if c.kind == Kind.SHORTAGE:
        short = batch.state.shortages.get((c.sku, c.location))
        if short is None or short.seq != c.seq:
            return Result(Outcome.NOT_FOUND, batch.state.seq, detail=c.kind)
        seq = batch.next_seq()
        batch.entries.append(
            ExceptionResolved(seq, batch.now, c.client, c.cause, c.kind, c.seq, c.resolution, c.reason)
        )
        return answer(batch, c.call, Result(Outcome.APPLIED, seq))
    key = subject(c.kind, c.sku, c.location, c.source, c.reservation)
    if batch.state.exceptions.get(key) != c.seq:
        return Result(Outcome.NOT_FOUND, batch.state.seq, detail=c.kind)
    end_exception(
        batch, c.kind, c.cause, c.sku, c.location, c.source, c.reservation, c.resolution, c.reason, c.client
    )  # fmt: skip
    return answer(batch, c.call, Result(Outcome.APPLIED, batch.state.seq))
