"""Replay of what is known of sources and clocks: who is silent, whose number counts where (R12, R14, R22)."""

from atp.domain.entries import ClockApart, LedgerOpened, SourceSeen
from atp.domain.replay.balances import take
from atp.domain.rules.authority import MOVES_MAX
from atp.domain.source_entries import (
    AuthorityMoved,
    FallbackTaken,
    PositionsRecounted,
    SourceHeard,
    SourceRestarted,
    SourceSilent,
)
from atp.domain.state import Location, Source, State


def _opened(state: State, entry: LedgerOpened) -> None:
    state.epoch = entry.epoch


def _seen(state: State, entry: SourceSeen) -> None:
    source = state.sources.get(entry.source)
    if source is None:
        state.sources[entry.source] = Source(entry.version_kind, entry.generation)
    else:
        source.version_kind = entry.version_kind


def _heard(state: State, entry: SourceHeard) -> None:
    source = state.sources[entry.source]
    source.beats, source.silent = True, False
    state.next_silence = entry.at


def _silent(state: State, entry: SourceSilent) -> None:
    state.sources[entry.source].silent = True


def _restarted(state: State, entry: SourceRestarted) -> None:
    source = state.sources.setdefault(entry.source, Source("", generation=0))
    source.generation, source.restart, source.older = entry.generation, entry.key, 0


def _fallback(state: State, entry: FallbackTaken) -> None:
    place = state.locations.setdefault(entry.location, Location())
    place.fallback, place.before = entry.fallback, entry.source
    place.since = place.recheck = entry.seq


def _authority_moved(state: State, entry: AuthorityMoved) -> None:
    place = state.locations.setdefault(entry.location, Location())
    if entry.before and entry.source != entry.before:
        place.recheck, place.before = entry.seq, entry.before
    if entry.change[0]:
        place.moves = [*place.moves, entry.change][-MOVES_MAX:]


def _recounted(state: State, entry: PositionsRecounted) -> None:
    take(state, entry.seq, entry.balances)
    if entry.last:
        state.locations[entry.location].recheck = 0


def _apart(state: State, entry: ClockApart) -> None:
    state.apart_at = entry.at


EFFECTS = {
    LedgerOpened: _opened,
    SourceSeen: _seen,
    SourceHeard: _heard,
    SourceSilent: _silent,
    SourceRestarted: _restarted,
    FallbackTaken: _fallback,
    AuthorityMoved: _authority_moved,
    PositionsRecounted: _recounted,
    ClockApart: _apart,
}
