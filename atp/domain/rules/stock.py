"""Stock events: levels, deltas, what cannot be sold, and the stream positions that settle them.

Any arrival order of the same events ends in the same number (DESIGN §4): a level that comes after deltas above its
version is taken together with those deltas, a delta at or below the level's version is already inside it, and a delta
is applied once by its id.
"""

from atp.domain.commands import Cursor, Delta, Include, Incoming, Level, Received, Status, TakeBack
from atp.domain.entries import AuthorityReturned, AuthorityTaken, CursorMoved, DeltaApplied, LevelSet, StatusSet
from atp.domain.exceptions import Kind
from atp.domain.ids import identity_of
from atp.domain.outcomes import Outcome
from atp.domain.records import Version
from atp.domain.results import Result
from atp.domain.rules import shortage
from atp.domain.rules.asides import level_knows, status_knows
from atp.domain.rules.batch import Batch
from atp.domain.rules.clock import find_record
from atp.domain.rules.exceptions import end_exception, raise_exception
from atp.domain.rules.inclusion import include, include_order, include_reservation
from atp.domain.rules.memory import BY_TIME, by_time, change, time_of
from atp.domain.rules.sources import known_source, note_lag, note_older
from atp.domain.state import (
    SHIPPED_BUCKET_MS,
    SHIPPED_COUNTED_MS,
    Position,
    Source,
    SourceNumber,
)

#: Everything a source says of one position.
StockEvent = Level | Delta | Status | Incoming | Received | TakeBack | Include

#: Clocks of two sources are taken to differ by no more: within it a change counts as in the level or not, whichever
#: leaves fewer units (R24).
OVERLAP_MS = 60_000


def level(batch: Batch, c: Level) -> Result:
    """Take a source's absolute number, unless a newer one is already there."""
    if refusal := refuse_stock(batch, c, c.measure):
        return refusal
    source = known_source(batch, c.source, c.version_kind, c.cause)
    version: Version = (source.generation, *c.version)
    known = _known(batch, c, c.source)
    if known.has_level and (version, c.position) <= (known.version, known.tie):
        for order_ref in c.includes:
            include_order(batch, c, order_ref, version)
        if version < known.version:
            note_older(batch, c.source, source, c.cause)
        return Result(Outcome.STALE, batch.state.seq)
    source.older = 0
    before = shortage.unpromised(batch, c.sku, c.location)
    policy = batch.location(c.location)
    if policy and not policy.sources and c.location not in batch.state.authorities:
        batch.state.authorities[c.location] = c.source
        batch.entries.append(AuthorityTaken(batch.next_seq(), batch.now, "", c.cause, c.location, c.source))
    true_at = c.as_of or batch.now
    known.recent = {event: change for event, change in known.recent.items() if is_above(*change, version, true_at)}
    number = c.quantity + sum(quantity for _, quantity in known.recent.values())
    # Changes above this level may have been forgotten: the lower number is sold (R8).
    cut = version < known.floor or known.forgotten_at > true_at - OVERLAP_MS
    was_uncertain, known.uncertain = known.uncertain, cut
    if cut:
        number = min(number, known.number)
    else:
        known.forgotten_at = 0
    known.level_at = c.as_of if batch.adjusted(c.location) else 0
    known.number, known.has_level, known.version, known.tie = number, True, version, c.position
    if known.touched[1:] <= version:
        known.touched = ()
    include(known)
    _seen(batch, c, known, source)
    returns = False
    if c.source == batch.authority(c.location):
        position = batch.sku(c.sku).positions[c.location]
        count_shipped(position, c.as_of)
        level_knows(position, c.source, version, c.as_of)
        if returns := batch.on_fallback(c.sku, c.location):
            known.returned = batch.state.locations[c.location].since
    seq = batch.next_seq()
    batch.touch(seq, [c.sku])
    batch.entries.append(
        LevelSet(
            seq, batch.now, "", c.cause, c.sku, c.location, c.source, c.quantity, number, version,
            c.stream, c.position, c.as_of, [batch.balance(c.sku, c.location)], cut,
        )
    )  # fmt: skip
    for order_ref in c.includes:
        include_order(batch, c, order_ref, version)
    if returns:
        batch.entries.append(AuthorityReturned(batch.next_seq(), batch.now, "", c.cause, c.sku, c.location, c.source))
    if cut:
        raise_exception(batch, Kind.REBASE_WINDOW, c.cause, c.sku, c.location, c.source)
    elif was_uncertain:
        end_exception(batch, Kind.REBASE_WINDOW, c.cause, c.sku, c.location, c.source)
        end_exception(batch, Kind.LATE_DELTA, c.cause, c.sku, c.location, c.source)
    shortage.report(batch, c.sku, c.location, c.cause, before)
    return Result(Outcome.APPLIED, seq)


def include_booked(batch: Batch, c: Include) -> Result:
    """Include what a level is net of, by its version; the level itself may come after it, and may be stale (R39)."""
    if refusal := refuse_stock(batch, c, c.measure):
        return refusal
    version: Version = (known_source(batch, c.source, c.version_kind, c.cause).generation, *c.version)
    for id in c.ids:
        r = find_record(batch, identity_of(id))
        if r is not None and r.id == id:
            include_reservation(batch, c, r, version)
    return Result(Outcome.APPLIED, batch.state.seq)


def delta(batch: Batch, c: Delta) -> Result:
    """Apply a source's change once; it is never dropped for being old, unless it cannot be told from a repeat."""
    if refusal := refuse_stock(batch, c, ""):
        return refusal
    source = known_source(batch, c.source, c.version_kind, c.cause)
    version: Version = (source.generation, *c.version)
    of = batch.counted_as(c.source, c.location)
    known, recent = _known(batch, c, of), version_in(c, of, version)
    if _is_inside(known, recent, c.quantity):
        return Result(Outcome.INCLUDED, batch.state.seq)
    if c.event in known.recent:
        return Result(Outcome.DUPLICATE, batch.state.seq)
    if _is_late(known, recent):
        known.uncertain = True
        raise_exception(batch, Kind.LATE_DELTA, c.cause, c.sku, c.location, of)
        return Result(Outcome.LATE_DELTA, batch.state.seq)
    before = shortage.unpromised(batch, c.sku, c.location)
    change(known, c.event, recent, c.quantity)
    _seen(batch, c, known, source)
    seq = batch.next_seq()
    batch.touch(seq, [c.sku])
    batch.entries.append(
        DeltaApplied(
            seq, batch.now, "", c.cause, c.sku, c.location, c.source, c.quantity, known.number, version,
            c.stream, c.position, c.as_of, c.event, [batch.balance(c.sku, c.location)], changed_of(batch, c),
        )
    )  # fmt: skip
    shortage.report(batch, c.sku, c.location, c.cause, before)
    return Result(Outcome.APPLIED, seq)


def change_number(batch: Batch, c: Received | Delta | TakeBack, version: Version) -> tuple[SourceNumber, bool]:
    """Change the number that the source's word moves, as by a delta, unless the level shows it already or may do.

    Returns it, and whether it changed.
    """
    of = batch.counted_as(c.source, c.location)
    known, recent = _known(batch, c, of), version_in(c, of, version)
    inside = _is_inside(known, recent, c.quantity) or _is_late(known, recent)
    changed = not inside and c.event not in known.recent
    if changed:
        change(known, c.event, recent, c.quantity)
        known.as_of = max(known.as_of, c.as_of)
    note_lag(batch, batch.state.sources[c.source], c.as_of)
    return known, changed


def changed_of(batch: Batch, c: Delta | Received | TakeBack) -> str:
    """The source whose number a change moves, for its entry: "" if it is the one that says so (R24)."""
    of = batch.counted_as(c.source, c.location)
    return of if of != c.source else ""


def status(batch: Batch, c: Status) -> Result:
    """Take what a source says cannot be sold; it neither waits for the source's levels nor makes one stale (R14)."""
    if refusal := refuse_stock(batch, c, ""):
        return refusal
    source = known_source(batch, c.source, c.version_kind, c.cause)
    version: Version = (source.generation, *c.version)
    known = _known(batch, c, c.source)
    if known.status and (*version, c.position) <= known.status:
        return Result(Outcome.STALE, batch.state.seq)
    before = shortage.unpromised(batch, c.sku, c.location)
    later = status_knows(batch.sku(c.sku).positions[c.location], c.source, version)
    known.unsellable, known.status = c.unsellable + later, (*version, c.position)
    note_lag(batch, source, c.as_of)
    seq = batch.next_seq()
    batch.touch(seq, [c.sku])
    batch.entries.append(
        StatusSet(
            seq, batch.now, "", c.cause, c.sku, c.location, c.source, known.unsellable, version,
            c.stream, c.position, c.as_of, [batch.balance(c.sku, c.location)],
        )
    )  # fmt: skip
    shortage.report(batch, c.sku, c.location, c.cause, before)
    return Result(Outcome.APPLIED, seq)


def move_cursor(batch: Batch, c: Cursor) -> Result:
    """Everything up to this stream position is settled (R15); a cursor never moves back."""
    if c.position <= batch.state.cursors.get(c.stream, 0):
        return Result(Outcome.SETTLED, batch.state.seq)
    batch.state.cursors[c.stream] = c.position
    seq = batch.next_seq()
    batch.entries.append(CursorMoved(seq, batch.now, "", "", c.stream, c.position))
    return Result(Outcome.APPLIED, seq)


def refuse_stock(batch: Batch, c: StockEvent, measure: str) -> Result | None:
    if c.position and c.position <= batch.state.cursors.get(c.stream, 0):
        return Result(Outcome.SETTLED, batch.state.seq)
    if batch.location(c.location) is None:
        return Result(Outcome.UNKNOWN_LOCATION, batch.state.seq, detail=c.location)
    policy = batch.source_policy(c.source)
    if measure and measure != policy.measure:
        return Result(Outcome.MEASURE_MISMATCH, batch.state.seq, detail=policy.measure)
    expected = expected_kind(batch, c.source, c.version_kind)
    if c.version_kind != expected:
        return Result(Outcome.VERSION_KIND_MISMATCH, batch.state.seq, detail=expected)
    if not c.as_of and _needs_time(batch, c):
        return Result(Outcome.TIME_REQUIRED, batch.state.seq, detail=c.location)
    return None


def _needs_time(batch: Batch, c: StockEvent) -> bool:
    """Adjusters' changes and the levels they are compared with have no versions in common but their times (R24)."""
    if isinstance(c, Level | Include):
        return batch.adjusted(c.location) and c.source == batch.authority(c.location)
    changes = not isinstance(c, Status | Incoming)
    return changes and batch.counted_as(c.source, c.location) != c.source


def expected_kind(batch: Batch, source: str, kind: str) -> str:
    """How the source orders its events: by its policy, else as it always did, else ``kind``, as now."""
    seen = batch.state.sources.get(source)
    return batch.source_policy(source).version or (seen.version_kind if seen else "") or kind


def _known(batch: Batch, c: StockEvent, source: str) -> SourceNumber:
    """What this source has said of this position so far."""
    position = batch.position(c.sku, c.location)
    return position.sources.setdefault(source, SourceNumber())


def version_in(c: Delta | Received | TakeBack, of: str, version: Version) -> Version:
    """The version by which a change is remembered: its own, or in another source's number its time (R24)."""
    return version if of == c.source else by_time(c.as_of)


def is_above(version: Version, quantity: int, level: Version, true_at: int) -> bool:
    """Whether a change is not in a level. Near the level it counts as what leaves fewer units (R24)."""
    if version[0] != BY_TIME:
        return version > level
    return time_of(version) > (true_at - OVERLAP_MS if quantity < 0 else true_at)


def _is_inside(known: SourceNumber, version: Version, quantity: int) -> bool:
    if not known.has_level:
        return False
    if version[0] == BY_TIME and not known.level_at:
        return quantity > 0  # nobody knows when the level was true: errs low until the next one
    return not is_above(version, quantity, known.version, known.level_at)


def _is_late(known: SourceNumber, version: Version) -> bool:
    """Whether a change is older than the memory: it cannot be told from a repeat (R15)."""
    if version[0] == BY_TIME:
        return time_of(version) <= known.forgotten_at
    return version <= known.floor


def _seen(batch: Batch, c: Level | Delta, known: SourceNumber, source: Source) -> None:
    known.as_of = max(known.as_of, c.as_of)
    note_lag(batch, source, c.as_of)


def count_shipped(position: Position, as_of: int) -> None:
    """The authority's level shows every shipment that lies long enough before it; the others stay subtracted (R8)."""
    counted = as_of - SHIPPED_COUNTED_MS - SHIPPED_BUCKET_MS
    position.shipped = {minute: units for minute, units in position.shipped.items() if minute >= counted}
