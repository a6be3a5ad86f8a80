"""Stock events: levels, deltas, what cannot be sold, and the stream positions that settle them.

Any arrival order of the same events ends in the same number (DESIGN §4): a level that comes after deltas above its
version is taken together with those deltas, a delta at or below the level's version is already inside it, and a delta
is applied once by its id.
"""

from atp.domain.commands import Cursor, Delta, Incoming, Level, Received, Status, TakeBack
from atp.domain.entries import AuthorityTaken, CursorMoved, DeltaApplied, LevelSet, SourceSeen, StatusSet
from atp.domain.outcomes import Outcome
from atp.domain.records import Version
from atp.domain.results import Result
from atp.domain.rules import shortage
from atp.domain.rules.asides import level_knows, status_knows
from atp.domain.rules.batch import Batch
from atp.domain.rules.inclusion import include, include_order
from atp.domain.state import (
    RECENT_CUT,
    RECENT_MAX,
    SHIPPED_BUCKET_MS,
    SHIPPED_COUNTED_MS,
    Source,
    SourceNumber,
)

#: Everything a source says of one position.
StockEvent = Level | Delta | Status | Incoming | Received | TakeBack


def level(batch: Batch, c: Level) -> Result:
    """Take a source's absolute number, unless a newer one is already there."""
    if refusal := refuse_stock(batch, c, c.measure):
        return refusal
    source = known_source(batch, c.source, c.version_kind, c.cause)
    version: Version = (source.generation, *c.version)
    known = _known(batch, c)
    if known.has_level and (version, c.position) <= (known.version, known.tie):
        for order_ref in c.includes:
            include_order(batch, c, order_ref, version)
        return Result(Outcome.STALE, batch.state.seq)
    before = shortage.unpromised(batch, c.sku, c.location)
    policy = batch.location(c.location)
    if policy and not policy.sources and c.location not in batch.state.authorities:
        batch.state.authorities[c.location] = c.source
        batch.entries.append(AuthorityTaken(batch.next_seq(), batch.now, "", c.cause, c.location, c.source))
    number = c.quantity + sum(q for v, q in known.recent.values() if v > version)
    if version < known.floor:
        number = min(number, known.number)  # deltas above this level were forgotten: the lower number is sold (R8)
    known.recent = {event: (v, q) for event, (v, q) in known.recent.items() if v > version}
    known.number, known.has_level, known.version, known.tie = number, True, version, c.position
    include(known)
    _seen(batch, c, known, source)
    if c.source == batch.authority(c.location):
        _count_shipped(batch, c)
        level_knows(batch.sku(c.sku).positions[c.location], c.source, version, c.as_of)
    seq = batch.next_seq()
    batch.touch(seq, [c.sku])
    batch.entries.append(
        LevelSet(
            seq, batch.now, "", c.cause, c.sku, c.location, c.source, c.quantity, number, version,
            c.stream, c.position, c.as_of, [batch.balance(c.sku, c.location)],
        )
    )  # fmt: skip
    for order_ref in c.includes:
        include_order(batch, c, order_ref, version)
    shortage.report(batch, c.sku, c.location, c.cause, before)
    return Result(Outcome.APPLIED, seq)


def delta(batch: Batch, c: Delta) -> Result:
    """Apply a source's change once; it is never dropped for being old, unless it cannot be told from a repeat."""
    if refusal := refuse_stock(batch, c, ""):
        return refusal
    source = known_source(batch, c.source, c.version_kind, c.cause)
    version: Version = (source.generation, *c.version)
    known = _known(batch, c)
    if known.has_level and version <= known.version:
        return Result(Outcome.INCLUDED, batch.state.seq)
    if c.event in known.recent:
        return Result(Outcome.DUPLICATE, batch.state.seq)
    if version <= known.floor:
        return Result(Outcome.LATE_DELTA, batch.state.seq)
    before = shortage.unpromised(batch, c.sku, c.location)
    known.number += c.quantity
    known.recent[c.event] = (version, c.quantity)
    if len(known.recent) > RECENT_MAX:
        _forget(known)
    _seen(batch, c, known, source)
    seq = batch.next_seq()
    batch.touch(seq, [c.sku])
    batch.entries.append(
        DeltaApplied(
            seq, batch.now, "", c.cause, c.sku, c.location, c.source, c.quantity, known.number, version,
            c.stream, c.position, c.as_of, c.event, [batch.balance(c.sku, c.location)],
        )
    )  # fmt: skip
    shortage.report(batch, c.sku, c.location, c.cause, before)
    return Result(Outcome.APPLIED, seq)


def change_number(batch: Batch, c: Delta | Received, version: Version) -> tuple[SourceNumber, bool]:
    """Change a source's own number as by a delta, unless its level shows it already or may do; whether it changed."""
    known = _known(batch, c)
    fits = not (known.has_level and version <= known.version) and version > known.floor
    changed = fits and c.event not in known.recent
    if changed:
        known.number += c.quantity
        known.recent[c.event] = (version, c.quantity)
        if len(known.recent) > RECENT_MAX:
            _forget(known)
    _seen(batch, c, known, batch.state.sources[c.source])
    return known, changed


def status(batch: Batch, c: Status) -> Result:
    """Take what a source says cannot be sold; it neither waits for the source's levels nor makes one stale (R14)."""
    if refusal := refuse_stock(batch, c, ""):
        return refusal
    source = known_source(batch, c.source, c.version_kind, c.cause)
    version: Version = (source.generation, *c.version)
    known = _known(batch, c)
    if known.status and (*version, c.position) <= known.status:
        return Result(Outcome.STALE, batch.state.seq)
    before = shortage.unpromised(batch, c.sku, c.location)
    later = status_knows(batch.sku(c.sku).positions[c.location], c.source, version)
    known.unsellable, known.status = c.unsellable + later, (*version, c.position)
    if c.as_of:
        source.lag_ms = max(0, batch.now - c.as_of)
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
    return None


def expected_kind(batch: Batch, source: str, kind: str) -> str:
    """How the source orders its events: by its policy, else as it always did, else ``kind``, as now."""
    seen = batch.state.sources.get(source)
    return batch.source_policy(source).version or (seen.version_kind if seen else kind)


def known_source(batch: Batch, id: str, kind: str, cause: str) -> Source:
    """What is known of the source; the first event of a source creates it, journaled (R24)."""
    source = batch.state.sources.get(id)
    if source is None:
        source = batch.state.sources[id] = Source(kind)
        batch.entries.append(SourceSeen(batch.next_seq(), batch.now, "", cause, id, kind, source.generation))
    return source


def _known(batch: Batch, c: StockEvent) -> SourceNumber:
    """What this source has said of this position so far."""
    position = batch.position(c.sku, c.location)
    return position.sources.setdefault(c.source, SourceNumber())


def _seen(batch: Batch, c: Level | Delta | Received, known: SourceNumber, source: Source) -> None:
    if c.as_of:
        known.as_of = max(known.as_of, c.as_of)
        source.lag_ms = max(0, batch.now - c.as_of)


def _count_shipped(batch: Batch, c: Level) -> None:
    """The authority's level shows every shipment that lies long enough before it; the others stay subtracted (R8)."""
    position = batch.sku(c.sku).positions[c.location]
    counted = c.as_of - SHIPPED_COUNTED_MS - SHIPPED_BUCKET_MS
    position.shipped = {minute: units for minute, units in position.shipped.items() if minute >= counted}


def _forget(known: SourceNumber) -> None:
    """Forget the oldest deltas by version; a level below them can no longer be re-based exactly (R8)."""
    oldest = sorted((v, event) for event, (v, _) in known.recent.items())[:RECENT_CUT]
    for _, event in oldest:
        del known.recent[event]
    known.floor = max(known.floor, oldest[-1][0])
