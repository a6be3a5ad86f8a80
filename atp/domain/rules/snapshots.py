"""Snapshots in parts: levels like any others, and zeros for what a complete full one does not name (R13).

``as_of`` is the version of every line and of every zero, so parts may come in any order and beside other events. What
is kept of a snapshot is in the first partition, wherever its lines live. A part is told before its lines and again
when all of them were taken; a snapshot is complete when the last part was. If it is full, its zeros follow: whoever
sweeps first counts them, and here it is decided whether they are so many that a person must look. A position that the
snapshot names has its version or a newer one, so the zeros need no list of names: anything at the version wins.
"""

from atp.domain.commands import Level
from atp.domain.entries import SnapshotBegun, SnapshotMoved, SnapshotPartSeen
from atp.domain.exceptions import Kind
from atp.domain.outcomes import Outcome
from atp.domain.records import Version
from atp.domain.results import Result
from atp.domain.rules.batch import Batch
from atp.domain.rules.exceptions import end_exception, raise_exception
from atp.domain.rules.stock import expected_kind, known_source, level
from atp.domain.snapshots import SnapshotDecide, SnapshotPart, Zero
from atp.domain.state import FIGURES_MAX, INCOMPLETE_MS, OVER_MAX, Snapshot, Sweep

#: State that a sweep must be in for a step.
_BEFORE = {"counted": "counting", "accept": "parked", "discard": "parked", "swept": "sweeping"}


def take_part(batch: Batch, c: SnapshotPart) -> Result:
    """Note a part, or say why its lines may not be applied. Only a part that agrees with the others counts."""
    state = batch.state
    if refusal := _refuse(batch, c):
        return refusal
    found = state.snapshots.get(c.source)
    source = state.sources.get(c.source)
    generation = source.generation if source else 1
    version: Version = (generation, *c.version)
    if found is None or _is_newer(found, c, version):
        known_source(batch, c.source, c.version_kind, c.cause)
        found = _begin(batch, c, version, found)
    elif found.id != c.snapshot:
        return Result(Outcome.SNAPSHOT_OVER, state.seq, detail=found.id)
    if contradicted := _contradiction(found, c, version):
        return Result(Outcome.CONTRADICTED, state.seq, detail=contradicted)
    known = found.digests.get(c.part, 0)
    if known > 0:
        return Result(Outcome.DUPLICATE, state.seq)
    if known and not c.taken:
        return Result(Outcome.REPLAYED, state.seq, replayed=True)
    found.digests[c.part] = c.digest if c.taken else -c.digest
    found.arrived += c.taken
    seq = batch.next_seq()
    batch.entries.append(SnapshotPartSeen(seq, batch.now, "", c.cause, c.source, found.seq, c.part, c.digest, c.taken))
    if found.arrived == found.parts:
        _complete(batch, c, found)
    return Result(Outcome.APPLIED, seq)


def zero(batch: Batch, c: Zero) -> Result:
    """A level of 0 as of the snapshot, where its source has a number, and of the generation it was told in."""
    item, source = batch.state.skus.get(c.sku), batch.state.sources.get(c.source)
    position = item.positions.get(c.location) if item else None
    if position is None or source is None or c.source not in position.sources:
        return Result(Outcome.NOT_FOUND, batch.state.seq)
    if source.generation != c.version[0]:
        return Result(Outcome.STALE, batch.state.seq)
    version = c.version[1:]
    return level(batch, Level(c.sku, c.location, c.source, 0, c.version_kind, version, "", 0, c.as_of, "", c.cause))


def decide_snapshot(batch: Batch, c: SnapshotDecide) -> Result:
    """One step of a complete full snapshot; each is possible once."""
    sweep = batch.state.sweeps.get(c.snapshot)
    if sweep is None:
        return Result(Outcome.NOT_FOUND, batch.state.seq)
    if sweep.state != _BEFORE[c.step]:
        return Result(Outcome.NOT_ACTIVE, batch.state.seq, detail=sweep.state)
    if c.step == "counted":
        percent = batch.source_policy(sweep.source).full_guard_percent
        sweep.counts = [count for count in c.counts if count[2] * 100 > percent * count[1]]
        last = batch.state.snapshots[sweep.source]
        over = last.seq != c.snapshot and _replaces(last, sweep)
        sweep.state = "sweeping" if not sweep.counts else "ended" if over else "parked"
    else:
        sweep.state = {"accept": "sweeping", "discard": "ended", "swept": "swept"}[c.step]
    seq = _move(batch, c.snapshot, sweep, c.client, c.cause)
    if sweep.state == "parked":
        about = {"source": sweep.source, "reservation": sweep.snapshot}
        raise_exception(batch, Kind.SNAPSHOT_GUARD, c.cause, **about, detail=_figures(sweep))
    elif c.step in ("accept", "discard"):
        by = {"resolution": c.step, "reason": c.reason, "client": c.client}
        end_exception(batch, Kind.SNAPSHOT_GUARD, c.cause, source=sweep.source, reservation=sweep.snapshot, **by)
    return Result(Outcome.APPLIED, seq, detail=sweep.state)


def tell_overdue(batch: Batch) -> None:
    """Snapshots that wait too long for a part; they still may be completed."""
    if batch.apart:
        return
    for source in sorted(batch.state.snapshots, key=str.encode):
        found = batch.state.snapshots[source]
        if found.state == "open" and not found.overdue and found.since + INCOMPLETE_MS <= batch.now:
            found.overdue = True
            batch.entries.append(SnapshotMoved(batch.next_seq(), batch.now, "", "", source, found.seq, "overdue", []))
            detail = f"{found.id}: {found.arrived} of {found.parts} parts"
            raise_exception(batch, Kind.SNAPSHOT_INCOMPLETE, "", source=source, detail=detail)


def _refuse(batch: Batch, c: SnapshotPart) -> Result | None:
    if c.position and c.position <= batch.state.cursors.get(c.stream, 0):
        return Result(Outcome.SETTLED, batch.state.seq)
    measure = batch.source_policy(c.source).measure
    if c.measure and c.measure != measure:
        return Result(Outcome.MEASURE_MISMATCH, batch.state.seq, detail=measure)
    expected = expected_kind(batch, c.source, c.version_kind)
    if c.version_kind != expected:
        return Result(Outcome.VERSION_KIND_MISMATCH, batch.state.seq, detail=expected)
    return None


def _is_newer(found: Snapshot, c: SnapshotPart, version: Version) -> bool:
    """Between equal versions the one that began later counts (R14), so it must not be one that was there before."""
    if c.snapshot == found.id:
        return version[0] > found.version[0]
    return version > found.version or (version == found.version and c.snapshot not in found.over)


def _contradiction(found: Snapshot, c: SnapshotPart, version: Version) -> str:
    if (version, c.as_of) != (found.version, found.as_of):
        return "as_of"
    if c.parts != found.parts:
        return "parts"
    if c.full != found.full:
        return "full"
    if c.locations != found.locations:
        return "locations"
    return "lines" if abs(found.digests.get(c.part, c.digest)) != c.digest else ""


def _begin(batch: Batch, c: SnapshotPart, version: Version, before: Snapshot | None) -> Snapshot:
    """A newer snapshot ends the one that is not complete, and those that wait for a person and that it replaces."""
    state = batch.state
    if before and before.state == "open":
        batch.entries.append(SnapshotMoved(batch.next_seq(), batch.now, "", c.cause, c.source, before.seq, "ended", []))
        end_exception(batch, Kind.SNAPSHOT_INCOMPLETE, c.cause, source=c.source)
    for snapshot, sweep in sorted(state.sweeps.items()):
        if sweep.source == c.source and sweep.state == "parked" and _replaces(c, sweep):
            sweep.state = "ended"
            _move(batch, snapshot, sweep, "", c.cause)
            end_exception(batch, Kind.SNAPSHOT_GUARD, c.cause, source=c.source, reservation=sweep.snapshot)
    over = [*before.over, before.id][-OVER_MAX:] if before and before.version == version else []
    seq = batch.next_seq()
    found = state.snapshots[c.source] = Snapshot(
        c.snapshot, seq, c.version_kind, version, c.parts, c.full, list(c.locations), c.as_of, batch.now, over=over
    )
    batch.entries.append(
        SnapshotBegun(
            seq, batch.now, "", c.cause, c.source, c.snapshot, c.version_kind, version,
            c.parts, c.full, list(c.locations), c.as_of,
        )
    )  # fmt: skip
    return found


def _replaces(newer: Snapshot | SnapshotPart, sweep: Sweep) -> bool:
    """Whether a newer snapshot says what is left at all locations of an older one; levels alone, or others' do not."""
    return newer.full and set(sweep.locations) <= set(newer.locations)


def _complete(batch: Batch, c: SnapshotPart, found: Snapshot) -> None:
    found.state = "complete"
    if found.full:
        batch.state.sweeps[found.seq] = Sweep(
            c.source, found.id, found.version_kind, found.version, list(found.locations), found.as_of
        )
    seq = batch.next_seq()
    batch.entries.append(SnapshotMoved(seq, batch.now, "", c.cause, c.source, found.seq, "complete", []))
    end_exception(batch, Kind.SNAPSHOT_INCOMPLETE, c.cause, source=c.source)


def _move(batch: Batch, snapshot: int, sweep: Sweep, client: str, cause: str) -> int:
    """Journal a sweep's new state, and forget one that is over."""
    counts = sweep.counts if sweep.state == "parked" else []
    seq = batch.next_seq()
    batch.entries.append(
        SnapshotMoved(seq, batch.now, client, cause, sweep.source, snapshot, sweep.state, list(counts))
    )
    if sweep.state in ("ended", "swept"):
        del batch.state.sweeps[snapshot]
    else:
        sweep.counts = list(counts)
    return seq


def _figures(sweep: Sweep) -> str:
    told = [f"{zeroed} of {filled} at {location}" for location, filled, zeroed in sweep.counts[:FIGURES_MAX]]
    return f"{sweep.snapshot} would zero {', '.join(told)}"
