"""Retention: ended reservations leave the ledger in two steps, so that its memory is bounded by what is alive (R18).

Only what the journal has is cut down. A whole record goes first and leaves a tombstone, which still recognises the
repeats of its request and of its last changes; that goes at the end of the window.
"""

from collections.abc import Sequence

from msgspec import structs

from atp.domain.commands import Acknowledge, Confirm, Extend, Fulfil, Release, Transfer
from atp.domain.outcomes import Outcome
from atp.domain.records import REVOKED, TOMBSTONE_CHANGES, TOMBSTONE_MS, WHOLE_MS, Reservation
from atp.domain.results import Result
from atp.domain.rules.batch import Batch
from atp.domain.rules.naming import unname
from atp.domain.state import Tombstone

#: Records cut down, and tombstones removed, by one batch at most, so that its time stays bounded.
RETIRE_MAX = 256


def retire(batch: Batch) -> None:
    """Cut down what ended long enough ago and is journaled, oldest first and bounded."""
    state = batch.state
    for _ in range(RETIRE_MAX):
        if not state.buried or state.buried[0][1] + TOMBSTONE_MS > batch.now:
            break
        seq, _, identity = state.buried.pop(0)
        if identity in state.tombstones and state.tombstones[identity].seq == seq:  # it may have come back to life
            del state.tombstones[identity]
    for _ in range(RETIRE_MAX):
        if not state.ended or state.ended[0][0] > state.trimmed or state.ended[0][1] + WHOLE_MS > batch.now:
            break
        seq, when, identity = state.ended.pop(0)
        r = state.reservations.get(identity)
        if r is not None and r.seq == seq and r.id in state.following:
            state.ended.append((seq, batch.now, identity))  # its legs have not heard of the end yet (R3)
        elif r is not None and r.seq == seq:
            del state.reservations[identity]
            unname(batch, r.id, r.order_ref)
            if identity in state.baskets and not state.baskets[identity].deadline:
                del state.baskets[identity]
            state.tombstones[identity] = Tombstone(r.id, r.fingerprint, r.state, seq, r.changes[-TOMBSTONE_CHANGES:])
            state.buried.append((seq, when, identity))


def answer_change(tombstone: Tombstone, key: int, body: int, repeats: tuple[str, ...]) -> Result:
    """What a tombstone answers to a change. ``repeats``: the states in which the change has nothing left to do."""
    for known, known_body in tombstone.changes:
        if known == key:
            if known_body != body:
                return Result(Outcome.KEY_REUSED, tombstone.seq)
            return Result(Outcome.REPLAYED, tombstone.seq, replayed=True)
    if tombstone.state in repeats:
        return Result(Outcome.REPLAYED, tombstone.seq, replayed=True)
    if tombstone.state == "expired":
        return Result(Outcome.EXPIRED, tombstone.seq)
    return Result(Outcome.NOT_ACTIVE, tombstone.seq, detail=why_ended(tombstone.changes))


def answer_journaled(record: Reservation, c: Confirm | Release | Extend | Fulfil | Acknowledge | Transfer) -> Result:
    """What a change of a reservation answers that ended so long ago that only the journal has it."""
    repeats = {Confirm: ("fulfilled",), Fulfil: ("fulfilled",), Release: ("released",)}.get(type(c), ())
    tombstone = Tombstone(record.id, record.fingerprint, record.state, record.seq, record.changes)
    result = answer_change(tombstone, c.change.key, c.change.body, repeats)
    return structs.replace(result, reservation=record) if result.replayed else result


def why_ended(changes: Sequence[tuple[int, int]]) -> str:
    """ "shortage" when held units were taken for one (R28), else nothing special."""
    return "shortage" if any(key == REVOKED for key, _ in changes) else ""
