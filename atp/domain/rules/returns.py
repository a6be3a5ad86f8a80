"""Returns: units came back (R8, R9). Sold ones never come back into an order; they are stock like any other."""

from atp.domain.commands import Delta, TakeBack
from atp.domain.entries import ReturnTaken
from atp.domain.outcomes import Outcome
from atp.domain.records import Version
from atp.domain.results import Result
from atp.domain.rules import shortage
from atp.domain.rules.asides import is_noted, note
from atp.domain.rules.batch import Batch
from atp.domain.rules.sources import known_source, note_lag
from atp.domain.rules.stock import change_number, changed_of, refuse_stock, version_in
from atp.domain.state import SourceNumber


def take_back(batch: Batch, c: TakeBack) -> Result:
    """Raise the number as by a delta; what cannot be sold is unsellable, too, until a status that is not older.

    Numbers net of unsellable units do not rise by them.
    """
    if refusal := refuse_stock(batch, c, ""):
        return refusal
    source = known_source(batch, c.source, c.version_kind, c.cause)
    version: Version = (source.generation, *c.version)
    of = batch.counted_as(c.source, c.location)
    counts = c.sellable or batch.source_policy(of).measure == "on_hand"
    position = batch.position(c.sku, c.location)
    known = position.sources.setdefault(of, SourceNumber())
    if c.event in known.recent or is_noted(position, of, "unfit", c.event):
        return Result(Outcome.DUPLICATE, batch.state.seq)
    before = shortage.unpromised(batch, c.sku, c.location)
    changed = False
    if counts:
        told = Delta(
            c.sku, c.location, c.source, c.quantity, c.version_kind, c.version, c.stream, c.position, c.as_of, c.event,
        )  # fmt: skip
        _, changed = change_number(batch, told, version)
    else:
        note_lag(batch, source, c.as_of)
    unfit = not c.sellable and (of != c.source or not (known.status and version <= known.status[:3]))
    if not changed and not unfit:
        return Result(Outcome.INCLUDED, batch.state.seq)
    if unfit:
        note(batch.now, position, of, "unfit", c.quantity, version_in(c, of, version), c.event)
        known.unsellable += c.quantity
    seq = batch.next_seq()
    batch.touch(seq, [c.sku])
    batch.entries.append(
        ReturnTaken(
            seq, batch.now, "", c.cause, c.sku, c.location, c.source, c.quantity, c.sellable, c.order, known.number,
            known.unsellable, version, c.stream, c.position, c.as_of, c.event, [batch.balance(c.sku, c.location)],
            changed_of(batch, c),
        )
    )  # fmt: skip
    shortage.report(batch, c.sku, c.location, c.cause, before)
    return Result(Outcome.APPLIED, seq)
