"""Stock events: levels, deltas and the stream positions that settle them.

Any arrival order of the same events ends in the same number (DESIGN §4): a level that comes after deltas above its
version is taken together with those deltas, a delta at or below the level's version is already inside it, and a delta
is applied once by its id.
"""

from atp.domain.commands import Cursor, Delta, Level
from atp.domain.entries import AuthorityTaken, CursorMoved, DeltaApplied, LevelSet, SourceSeen
from atp.domain.outcomes import Outcome
from atp.domain.records import Version
from atp.domain.results import Result
from atp.domain.rules import shortage
from atp.domain.rules.batch import Batch
from atp.domain.state import (
    RECENT_CUT,
    RECENT_MAX,
    SHIPPED_BUCKET_MS,
    SHIPPED_COUNTED_MS,
    Position,
    Source,
    SourceNumber,
)


def level(batch: Batch, c: Level) -> Result:
    """Take a source's absolute number, unless a newer one is already there."""
    if refusal := _refuse(batch, c, c.measure):
        return refusal
    source = _source(batch, c)
    version: Version = (source.generation, *c.version)
    known = _known(batch, c)
    if known.has_level and (version, c.position) <= (known.version, known.tie):
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
    _seen(batch, c, known, source)
    if c.source == batch.authority(c.location):
        _count_shipped(batch, c)
    seq = batch.next_seq()
    batch.touch(seq, [c.sku])
    batch.entries.append(
        LevelSet(
            seq, batch.now, "", c.cause, c.sku, c.location, c.source, c.quantity, number, version,
            c.stream, c.position, c.as_of, [batch.balance(c.sku, c.location)],
        )
    )  # fmt: skip
    shortage.report(batch, c.sku, c.location, c.cause, before)
    return Result(Outcome.APPLIED, seq)


def delta(batch: Batch, c: Delta) -> Result:
    """Apply a source's change once; it is never dropped for being old, unless it cannot be told from a repeat."""
    if refusal := _refuse(batch, c, ""):
        return refusal
    source = _source(batch, c)
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


def move_cursor(batch: Batch, c: Cursor) -> Result:
    """Everything up to this stream position is settled (R15); a cursor never moves back."""
    if c.position <= batch.state.cursors.get(c.stream, 0):
        return Result(Outcome.SETTLED, batch.state.seq)
    batch.state.cursors[c.stream] = c.position
    seq = batch.next_seq()
    batch.entries.append(CursorMoved(seq, batch.now, "", "", c.stream, c.position))
    return Result(Outcome.APPLIED, seq)


def _refuse(batch: Batch, c: Level | Delta, measure: str) -> Result | None:
    if c.position and c.position <= batch.state.cursors.get(c.stream, 0):
        return Result(Outcome.SETTLED, batch.state.seq)
    if batch.location(c.location) is None:
        return Result(Outcome.UNKNOWN_LOCATION, batch.state.seq, detail=c.location)
    policy = batch.source_policy(c.source)
    if measure and measure != policy.measure:
        return Result(Outcome.MEASURE_MISMATCH, batch.state.seq, detail=policy.measure)
    seen = batch.state.sources.get(c.source)
    expected = policy.version or (seen.version_kind if seen else c.version_kind)
    if c.version_kind != expected:
        return Result(Outcome.VERSION_KIND_MISMATCH, batch.state.seq, detail=expected)
    return None


def _source(batch: Batch, c: Level | Delta) -> Source:
    """What is known of the source; the first event of a source creates it, journaled (R24)."""
    source = batch.state.sources.get(c.source)
    if source is None:
        source = batch.state.sources[c.source] = Source(c.version_kind)
        batch.entries.append(
            SourceSeen(batch.next_seq(), batch.now, "", c.cause, c.source, c.version_kind, source.generation)
        )
    return source


def _known(batch: Batch, c: Level | Delta) -> SourceNumber:
    """What this source has said of this position so far."""
    position = batch.sku(c.sku).positions.setdefault(c.location, Position())
    return position.sources.setdefault(c.source, SourceNumber())


def _seen(batch: Batch, c: Level | Delta, known: SourceNumber, source: Source) -> None:
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
