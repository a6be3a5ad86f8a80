"""The clock: what a jump of it may not do, and what becomes of deadlines that passed while nobody could act (R22).

A jump is a difference between the ledger's clock and the sender's, never a distance from the last batch: a ledger that
was idle, or away, has done nothing wrong. While the two disagree, time is the lower of them, so that a clock that ran
ahead for a moment does not stay in ``last_now``, and nothing expires on the strength of it.

An outage is seen by what it left: a deadline that passed after the last batch and is overdue by more than a living
sweeper would ever leave it. All deadlines of that time count later, all at once, and without touching a record: the
interval is remembered, and asked wherever a deadline is read.
"""

from atp.domain.entries import ClockApart, DeadlinesMoved
from atp.domain.records import GRACE_MS, Reservation
from atp.domain.rules.batch import Batch
from atp.domain.state import State

#: The ledger's clock and the sender's disagree beyond this.
APART_MS = 60_000

#: They are told apart at most this often.
TOLD_MS = 60_000

#: A due hold that waited longer shows that nobody could settle it.
OUTAGE_MS = 5_000

#: Deadlines that passed in an outage count this long after it, so that a payment under way can be confirmed.
REOPEN_MS = 30_000


def begin(state: State, time: int, sender_now: int, process: str) -> Batch:
    """A batch at the time that both clocks give, with the deadlines moved that passed in an outage."""
    last = state.last_now
    apart = bool(sender_now) and abs(time - sender_now) > APART_MS
    batch = Batch(state, min(time, sender_now) if apart else time)
    batch.apart = apart
    _tell(batch, time, sender_now, process)
    state.moved = [m for m in state.moved if any(m[0] < deadline <= m[1] for deadline in state.due.values())]
    _move_deadlines(batch, last)
    return batch


def _tell(batch: Batch, time: int, sender_now: int, process: str) -> None:
    state = batch.state
    if not batch.apart:
        state.apart = False
    elif not state.apart and batch.now - state.apart_at >= TOLD_MS:
        state.apart, state.apart_at = True, batch.now
        batch.entries.append(ClockApart(batch.next_seq(), batch.now, "", "", time, sender_now, process))


def _move_deadlines(batch: Batch, last: int) -> None:
    state, overdue = batch.state, batch.now - OUTAGE_MS
    passed = [*state.due.values(), *(until for _, _, until in state.moved)]
    if not any(last < deadline < overdue for deadline in passed):
        return
    until = batch.now + REOPEN_MS
    state.moved = [(a, b, until if last < u <= batch.now else u) for a, b, u in state.moved]
    state.moved.append((last, batch.now, until))
    batch.entries.append(DeadlinesMoved(batch.next_seq(), batch.now, "", "", last, batch.now, until))


def deadline_of(batch: Batch, deadline: int) -> int:
    """When a kept deadline counts: later, if it fell into an outage."""
    return next((until for after, to, until in batch.state.moved if after < deadline <= to), deadline)


def find_record(batch: Batch, identity: str) -> Reservation | None:
    """The record under this identity, with the deadline that counts; kept so whenever it is written again."""
    found = batch.state.reservations.get(identity)
    if found is not None and (deadline := batch.state.due.get(found.id)) is not None:
        found.expires_at = deadline_of(batch, deadline) - GRACE_MS
    return found


def is_due(batch: Batch, reservation: Reservation) -> bool:
    """Whether a hold is due and was left by this batch: nothing may be decided on it (R21)."""
    return batch.due_left and reservation.id in batch.state.due and reservation.expires_at + GRACE_MS <= batch.now
