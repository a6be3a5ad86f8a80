"""Sources: when each was heard, what their silence does, and how one begins anew (R12, R14).

Silence is measured on the source as a whole, by any event or heartbeat. A source that never sent a heartbeat may just
have nothing to say, so only those that did can fall silent. While the authority of a location is silent, or was, and
sent no level of a position since, that position sells the lower of its last number and the fallback's.
"""

from atp.domain.commands import Heartbeat, RestartSource
from atp.domain.entries import FallbackTaken, SourceHeard, SourceRestarted, SourceSeen, SourceSilent
from atp.domain.exceptions import Kind
from atp.domain.outcomes import Outcome
from atp.domain.results import Result
from atp.domain.rules import policies
from atp.domain.rules.batch import Batch
from atp.domain.rules.clock import OUTAGE_MS
from atp.domain.rules.exceptions import end_exception, raise_exception
from atp.domain.state import Location, Source

#: Levels in a row older than what is known that show a source to have lost its sequence (R14).
REWOUND_AFTER = 100

#: Generations that a version has room for.
GENERATION_MAX = 65_535


def known_source(batch: Batch, id: str, kind: str, cause: str) -> Source:
    """What is known of the source, which is heard of by this. Its first word creates it, journaled (R24)."""
    source = batch.state.sources.get(id)
    if source is None:
        source = batch.state.sources[id] = Source(kind)
        batch.entries.append(SourceSeen(batch.next_seq(), batch.now, "", cause, id, kind, source.generation))
        if ("source", id) not in batch.state.policies:
            raise_exception(batch, Kind.SOURCE_UNKNOWN, cause, source=id)
    elif kind and not source.version_kind:
        source.version_kind = kind
        batch.entries.append(SourceSeen(batch.next_seq(), batch.now, "", cause, id, kind, source.generation))
    source.last_heard = batch.now
    if source.silent:
        source.silent = False
        _beats(batch, id, cause)
        end_exception(batch, Kind.SOURCE_SILENT, cause, source=id)
    return source


def heartbeat(batch: Batch, c: Heartbeat) -> Result:
    """The source is there; of its heartbeats only the first one is journaled, and that which ends a silence."""
    if c.position and c.position <= batch.state.cursors.get(c.stream, 0):
        return Result(Outcome.SETTLED, batch.state.seq)
    source = known_source(batch, c.source, "", c.cause)
    if c.beats and not source.beats:
        source.beats = True
        _beats(batch, c.source, c.cause)
    return Result(Outcome.APPLIED, batch.state.seq)


def _beats(batch: Batch, id: str, cause: str) -> None:
    """From now on its silence is waited for."""
    deadline = batch.now + _stale_after_ms(batch, id)
    batch.state.next_silence = min(batch.state.next_silence or deadline, deadline)
    batch.entries.append(SourceHeard(batch.next_seq(), batch.now, "", cause, id))


def _stale_after_ms(batch: Batch, id: str) -> int:
    return batch.source_policy(id).stale_after_seconds * 1000


def listen(batch: Batch) -> None:
    """Find the sources that fell silent by now; until ``next_silence`` there are none, and nothing is looked at.

    Silence that began while nobody could hear anything is none: where no batch came at the time, as one from the
    sweeper would have, all sources count as heard now (R22).
    """
    state = batch.state
    if not state.next_silence or batch.now < state.next_silence or batch.apart:
        return
    if batch.now - state.next_silence > OUTAGE_MS:
        state.silence_from = batch.now
    nearest = 0
    for id in sorted(state.sources, key=str.encode):
        source = state.sources[id]
        if not source.beats:
            continue
        anew = not source.silent
        if anew:
            deadline = max(source.last_heard, state.silence_from) + _stale_after_ms(batch, id)
            if deadline > batch.now:
                nearest = min(nearest or deadline, deadline)
                continue
            source.silent = True
            batch.entries.append(SourceSilent(batch.next_seq(), batch.now, "", "", id, source.last_heard))
            raise_exception(batch, Kind.SOURCE_SILENT, "", source=id)
        _take_fallbacks(batch, id, anew=anew)
    state.next_silence = nearest


def _take_fallbacks(batch: Batch, silent: str, *, anew: bool) -> None:
    """At the silent authority's locations the fallback sells beside it; positions that had returned go again."""
    bodies = {id: body for (kind, id), (_, body) in batch.state.policies.items() if kind == "location"}
    for id in sorted(bodies, key=str.encode):
        policy = policies.decode(bodies[id], policies.Location)
        fallback, place = policy.listed("fallback"), batch.state.locations.get(id) or Location()
        if not fallback or policy.listed("authority") != silent or (place.since and not anew):
            continue
        seq = batch.next_seq()
        place.fallback, place.since, place.recheck, place.before = fallback, seq, seq, silent
        batch.state.locations[id] = place
        batch.entries.append(FallbackTaken(seq, batch.now, "", "", id, silent, fallback))


def note_older(batch: Batch, id: str, source: Source, cause: str) -> None:
    """A level was older than what is known: many in a row are no late ones, the source lost its sequence."""
    source.older += 1
    if source.older % REWOUND_AFTER == 0:
        raise_exception(batch, Kind.SOURCE_REWOUND, cause, source=id)


def restart(batch: Batch, c: RestartSource) -> Result:
    """Begin a new generation, which outranks all versions before it."""
    source = batch.state.sources.get(c.source)
    if source and source.restart == c.change.key:
        return Result(Outcome.REPLAYED, batch.state.seq, detail=str(source.generation), replayed=True)
    if source is None and not c.generation and ("source", c.source) not in batch.state.policies:
        return Result(Outcome.NOT_FOUND, batch.state.seq, detail=c.source)
    generation = c.generation or (source.generation if source else 1) + 1
    if generation > GENERATION_MAX:
        return Result(Outcome.LIMIT_EXCEEDED, batch.state.seq, detail="generations")
    if source is None:
        source = batch.state.sources[c.source] = Source("", generation=0)
    if generation <= source.generation:
        return Result(Outcome.REPLAYED, batch.state.seq, detail=str(source.generation), replayed=True)
    source.generation, source.restart, source.older = generation, c.change.key, 0
    seq = batch.next_seq()
    batch.entries.append(SourceRestarted(seq, batch.now, c.client, c.cause, c.source, generation, c.change.key))
    end_exception(batch, Kind.SOURCE_REWOUND, c.cause, source=c.source, resolution="restarted", client=c.client)
    return Result(Outcome.APPLIED, seq, detail=str(generation))


def note_lag(batch: Batch, source: Source, as_of: int) -> None:
    """How late the source's word came, where the event says when it was true (``as_of`` in ms, 0 if it does not)."""
    if as_of:
        source.lag_ms = max(0, batch.now - as_of)
