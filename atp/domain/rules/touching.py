"""Touches: a source says that its number is another one now, and not which (R39).

Somebody has to fetch it, so the entry is published for an adapter. From then on the number is known to be old; once
that is longer ago than the source's policy allows, answers call it stale, until a level that is new enough comes. A
touch that the level shows already, or that was told before, changes nothing.
"""

from atp.domain.commands import Touch
from atp.domain.outcomes import Outcome
from atp.domain.records import Version
from atp.domain.results import Result
from atp.domain.rules.batch import Batch
from atp.domain.rules.sources import known_source, note_lag
from atp.domain.rules.stock import expected_kind
from atp.domain.source_entries import Touched
from atp.domain.state import Sku, SourceNumber


def touch(batch: Batch, c: Touch) -> Result:
    """Remember at each position since when its number is old, and tell who fetches."""
    if c.position and c.position <= batch.state.cursors.get(c.stream, 0):
        return Result(Outcome.SETTLED, batch.state.seq)
    if c.location and batch.location(c.location) is None:
        return Result(Outcome.UNKNOWN_LOCATION, batch.state.seq, detail=c.location)
    ordered = bool(c.version_kind) and c.version_kind == expected_kind(batch, c.source, c.version_kind)
    source = known_source(batch, c.source, c.version_kind if ordered else "", c.cause)
    note_lag(batch, source, c.as_of)
    version: Version = (source.generation, *c.version) if ordered else (0, 0, 0)
    positions = batch.state.skus.get(c.sku, Sku()).positions
    told, waiting = False, []
    for at in sorted(positions, key=str.encode):
        known = positions[at].sources.get(c.source)
        if known is not None and c.location in ("", at):
            told = True
            if mark_touched(known, version, batch.now):
                waiting.append(at)
    if told and not waiting:
        return Result(Outcome.INCLUDED, batch.state.seq)
    seq = batch.next_seq()
    if waiting:
        batch.touch(seq, [c.sku])
    batch.entries.append(
        Touched(
            seq, batch.now, "", c.cause, c.sku, c.location, c.source, waiting, version, c.stream, c.position, c.as_of
        )
    )
    return Result(Outcome.APPLIED, seq)


def mark_touched(known: SourceNumber, version: Version, now: int) -> bool:
    """The number is another one as of ``version``, or right after its level for (0, 0, 0); whether that is news."""
    if version == (0, 0, 0):
        generation, high, low = known.version
        version = generation, high, low + 1
    if version <= max(known.version, known.touched[1:]):
        return False
    known.touched = (known.touched[0] if known.touched else now, *version)
    return True
