"""Remembering: answers of the last minute or two that no record holds, so that a repeat gets the same one.

Those are refusals (R18), and what became of commands that a process sends again for want of an answer (R5). Two
generations bound the memory. It is in no entry: after a rebuild the batch that was sent before is refused whole.
"""

from atp.domain.outcomes import Outcome
from atp.domain.results import Result
from atp.domain.rules.batch import Batch
from atp.domain.state import REFUSED_MAX, REFUSED_MS, Refusal


def remembered(batch: Batch, name: str) -> Refusal | None:
    """What was answered under this name."""
    rotate(batch)
    return batch.state.refused.get(name) or batch.state.refused_before.get(name)


def answered(batch: Batch, call: int) -> Result | None:
    """What the command of this random number did before; 0 is none."""
    done = remembered(batch, _name(call)) if call else None
    return Result(Outcome.REPLAYED, done.fingerprint, detail=done.detail, replayed=True) if done else None


def answer(batch: Batch, call: int, result: Result) -> Result:
    """Remember what the command did."""
    if call:
        batch.state.refused[_name(call)] = Refusal(result.seq, result.outcome, [], result.detail)
    return result


def rotate(batch: Batch) -> None:
    """An answer lives for one to two minutes, or until 100,000 newer ones came."""
    state = batch.state
    age = batch.now - state.refused_since
    if age >= REFUSED_MS or len(state.refused) >= REFUSED_MAX:
        state.refused_before = state.refused if age < 2 * REFUSED_MS else {}
        state.refused = {}
        state.refused_since = batch.now


def _name(call: int) -> str:
    return f"call:{call}"  # no identity has a colon
