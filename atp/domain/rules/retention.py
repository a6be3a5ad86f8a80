"""Retention: ended reservations leave the ledger in two steps, so that its memory is bounded by what is alive (R18).

Only what the journal has is cut down. A whole record goes first and leaves a tombstone, which still recognises the
repeats of its request and of its last changes; that goes at the end of the window.
"""

from collections.abc import Callable, Sequence
from itertools import islice, takewhile

from msgspec import structs

from atp.domain.commands import Acknowledge, Confirm, Extend, Fulfil, Release, Transfer
from atp.domain.outcomes import Outcome
from atp.domain.records import REVOKED, TOMBSTONE_CHANGES, TOMBSTONE_MS, WHOLE_MS, Reservation
from atp.domain.results import Result
from atp.domain.rules.batch import Batch
from atp.domain.rules.naming import unname
from atp.domain.state import State, Tombstone

#: Records cut down, and tombstones removed, by one batch at most, so that its time stays bounded.
RETIRE_MAX = 256

#: What a tombstone says of a reservation of which a part was shipped and the rest had expired.
IN_PART = "fulfilled-in-part"

#: In which ended states a fulfil has nothing left to do.
SHIPPED = ("fulfilled", IN_PART)

#: (seq, when, identity) of something that ended.
Queued = tuple[int, int, str]


def retire(batch: Batch) -> None:
    """Cut down what ended long enough ago and is journaled, oldest first and bounded."""
    cut_down(batch.state, batch.now, RETIRE_MAX)


def cut_down(state: State, now: int, most: int) -> None:
    """The same for any state: at most so many records and so many tombstones."""
    for seq, _, identity in _take(state.buried, most, lambda item: item[1] + TOMBSTONE_MS <= now):
        if identity in state.tombstones and state.tombstones[identity].seq == seq:  # it may have come back to life
            del state.tombstones[identity]
    due = _take(state.ended, most, lambda item: item[0] <= state.trimmed and item[1] + WHOLE_MS <= now)
    for seq, when, identity in due:
        r = state.reservations.get(identity)
        if r is not None and r.seq == seq and r.id in state.following:
            state.ended.append((seq, now, identity))  # its legs have not heard of the end yet (R3)
        elif r is not None and r.seq == seq:
            del state.reservations[identity]
            unname(state, r.id, r.order_ref)
            if identity in state.baskets and not state.baskets[identity].deadline:
                del state.baskets[identity]
            state.tombstones[identity] = Tombstone(r.id, r.fingerprint, _end_of(r), seq, r.changes[-TOMBSTONE_CHANGES:])
            state.buried.append((seq, when, identity))


def _end_of(r: Reservation) -> str:
    """How it ended, so that a late confirm hears of what has expired (R17)."""
    expired = any(a.expired for line in r.lines for a in line.allocations)
    return IN_PART if expired and r.state == "fulfilled" else r.state


def _take(queue: list[Queued], most: int, is_due: Callable[[Queued], bool]) -> list[Queued]:
    """Take what is due from the head of a queue, at most so many."""
    found = list(takewhile(is_due, islice(queue, most)))
    del queue[: len(found)]
    return found


def answer_change(tombstone: Tombstone, key: int, body: int, repeats: tuple[str, ...]) -> Result:
    """What a tombstone answers to a change. ``repeats``: the states in which the change has nothing left to do."""
    for known, known_body in tombstone.changes:
        if known == key:
            if known_body != body:
                return Result(Outcome.KEY_REUSED, tombstone.seq)
            return Result(Outcome.REPLAYED, tombstone.seq, replayed=True)
    if tombstone.state in repeats:
        return Result(Outcome.REPLAYED, tombstone.seq, replayed=True)
    if tombstone.state in ("expired", IN_PART):
        return Result(Outcome.EXPIRED, tombstone.seq)
    return Result(Outcome.NOT_ACTIVE, tombstone.seq, detail=why_ended(tombstone.changes))


def answer_journaled(record: Reservation, c: Confirm | Release | Extend | Fulfil | Acknowledge | Transfer) -> Result:
    """What a change of a reservation answers that ended so long ago that only the journal has it."""
    repeats = {Confirm: ("fulfilled",), Fulfil: SHIPPED, Release: ("released",)}.get(type(c), ())
    tombstone = Tombstone(record.id, record.fingerprint, _end_of(record), record.seq, record.changes)
    result = answer_change(tombstone, c.change.key, c.change.body, repeats)
    return structs.replace(result, reservation=record) if result.replayed else result


def why_ended(changes: Sequence[tuple[int, int]]) -> str:
    """ "shortage" when held units were taken for one (R28), else nothing special."""
    return "shortage" if any(key == REVOKED for key, _ in changes) else ""
