"""Replay of snapshots in parts; their levels and zeros are entries like any others (R13)."""

from atp.domain.entries import SnapshotBegun, SnapshotMoved, SnapshotPartSeen
from atp.domain.state import OVER_MAX, Snapshot, State, Sweep


def _begun(state: State, entry: SnapshotBegun) -> None:
    before = state.snapshots.get(entry.source)
    over = [*before.over, before.id][-OVER_MAX:] if before and before.version == entry.version else []
    state.snapshots[entry.source] = Snapshot(
        entry.snapshot, entry.seq, entry.version_kind, entry.version, entry.parts, entry.full, entry.locations,
        entry.as_of, entry.at, over=over,
    )  # fmt: skip


def _part(state: State, entry: SnapshotPartSeen) -> None:
    found = state.snapshots[entry.source]
    found.digests[entry.part] = entry.digest if entry.taken else -entry.digest
    found.arrived += entry.taken


def _moved(state: State, entry: SnapshotMoved) -> None:
    """Of a snapshot before the last one only the sweep is kept."""
    match entry.state:
        case "overdue":
            state.snapshots[entry.source].overdue = True
        case "complete":
            _complete(state, entry.source)
        case "sweeping" | "parked":
            sweep = state.sweeps[entry.snapshot]
            sweep.state, sweep.counts = entry.state, entry.counts
        case _:
            state.sweeps.pop(entry.snapshot, None)


def _complete(state: State, source: str) -> None:
    found = state.snapshots[source]
    found.state = "complete"
    if found.full:
        state.sweeps[found.seq] = Sweep(
            source, found.id, found.version_kind, found.version, list(found.locations), found.as_of
        )


EFFECTS = {SnapshotBegun: _begun, SnapshotPartSeen: _part, SnapshotMoved: _moved}
