"""Adjusting: a person corrects the number of a location's authority (R36).

The word of a person has no version of the source's. It counts right above what the source said last, so the source's
next newer level includes it, whether the person told the source as well or the source counted for itself; a repeated
or older level does not. Repeats of the call are known for as long as those of a reservation are.
"""

from itertools import islice

from atp.domain.commands import Adjust, Delta
from atp.domain.entries import Adjusted
from atp.domain.outcomes import Outcome
from atp.domain.records import TOMBSTONE_MS, Version
from atp.domain.results import Result
from atp.domain.rules import shortage
from atp.domain.rules.batch import Batch
from atp.domain.rules.stock import change_number
from atp.domain.state import ADJUSTED_CUT


def adjust(batch: Batch, c: Adjust) -> Result:
    """Change the authority's number by a person's word, once by its event."""
    state = batch.state
    _forget(batch)
    if c.event in state.adjusted:
        body, seq, _ = state.adjusted[c.event]
        if body != c.body:
            return Result(Outcome.KEY_REUSED, seq)
        return Result(Outcome.REPLAYED, seq, replayed=True)
    if batch.location(c.location) is None:
        return Result(Outcome.UNKNOWN_LOCATION, state.seq, detail=c.location)
    authority = batch.authority(c.location)
    source = state.sources.get(authority)
    if source is None:
        return Result(Outcome.NO_AUTHORITY, state.seq, detail=c.location)
    before = shortage.unpromised(batch, c.sku, c.location)
    position = batch.sku(c.sku).positions.get(c.location)
    known = position.sources.get(authority) if position else None
    version = _after(max(known.version, known.floor) if known else (0, 0, 0))
    change = Delta(c.sku, c.location, authority, c.quantity, "", version[1:], "", 0, 0, c.event)
    number = change_number(batch, change, version)[0].number
    seq = batch.next_seq()
    state.adjusted[c.event] = (c.body, seq, batch.now)
    batch.touch(seq, [c.sku])
    batch.entries.append(
        Adjusted(
            seq, batch.now, c.client, c.cause, c.sku, c.location, authority, c.quantity, number, version,
            c.event, c.body, c.reason, [batch.balance(c.sku, c.location)],
        )
    )  # fmt: skip
    shortage.report(batch, c.sku, c.location, c.cause, before)
    return Result(Outcome.APPLIED, seq)


def _after(version: Version) -> Version:
    """The version right after this one: every newer one is at or above it."""
    generation, high, low = version
    return (generation, high + 1, 0) if low == 2**32 - 1 else (generation, high, low + 1)


def _forget(batch: Batch) -> None:
    """Forget the oldest adjustments whose repeats no longer come: more at a time than one call adds."""
    for event, (_, _, at) in list(islice(batch.state.adjusted.items(), ADJUSTED_CUT)):
        if at + TOMBSTONE_MS > batch.now:
            break
        del batch.state.adjusted[event]
