"""From the ledger's refusals to a dead letter: one for the message, naming its lines."""

from atp.domain.outcomes import Outcome
from atp.domain.results import Result
from atp.ingest.applying import Item
from atp.ingest.deadletters import DeadLetter
from atp.ingest.reasons import Reason

_REASONS = {
    Outcome.UNKNOWN_LOCATION: (Reason.UNKNOWN_LOCATION, "location {!r} is not known"),
    Outcome.MEASURE_MISMATCH: (Reason.MEASURE_MISMATCH, "the source measures {}"),
    Outcome.VERSION_KIND_MISMATCH: (Reason.VERSION_KIND_MISMATCH, "the source orders its events by {}"),
}
_NAMED = 20  # lines named in the detail


def dead_letter_of(item: Item) -> DeadLetter | None:
    """The dead letter for a message that was rejected, or of which the ledger refused at least one line."""
    if item.rejected:
        return DeadLetter(item.message, item.rejected.reason, item.rejected.detail)
    refused = [(index, result) for index, result in enumerate(item.results) if result.outcome > Outcome.AGAIN]
    if not refused:
        return None
    reason = _REASONS.get(refused[0][1].outcome, (Reason.UNPROCESSABLE, ""))[0]
    detail = "; ".join(_line(index, result) for index, result in refused[:_NAMED])
    return DeadLetter(item.message, reason, f"{len(refused)} of {len(item.results)} lines refused: {detail}")


def _line(index: int, result: Result) -> str:
    text = _REASONS.get(result.outcome, ("", f"{result.outcome.name} {{}}"))[1]
    return f"lines[{index}]: {text.format(result.detail)}"
