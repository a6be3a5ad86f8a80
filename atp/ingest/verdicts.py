"""What became of a batch: counted, and the messages to be set aside, one dead letter each, naming its lines."""

from collections import Counter as Tally
from collections.abc import Iterator, Sequence

import structlog

from atp.domain.commands import Command, Delta, Level, TellOrder
from atp.domain.order_commands import Include
from atp.domain.outcomes import Outcome
from atp.domain.results import Result
from atp.ingest.applying import Item
from atp.ingest.counters import Counters
from atp.ingest.deadletters import DeadLetter
from atp.ingest.events import HEARTBEAT, KINDS, TOUCH
from atp.ingest.positions import positions_in
from atp.ingest.reasons import Reason

log = structlog.get_logger("atp.ingest")

_REASONS = {
    Outcome.UNKNOWN_LOCATION: (Reason.UNKNOWN_LOCATION, "location {!r} is not known"),
    Outcome.MEASURE_MISMATCH: (Reason.MEASURE_MISMATCH, "the source measures {}"),
    Outcome.TIME_REQUIRED: (Reason.TIME_MISSING, "at {!r} sources are compared by time, and the event has none"),
    Outcome.VERSION_KIND_MISMATCH: (Reason.VERSION_KIND_MISMATCH, "the source orders its events by {}"),
    Outcome.CONTRADICTED: (Reason.SNAPSHOT_CONTRADICTED, "other {} than before"),
}
_NAMED = 20  # lines named in the detail


def judge(items: Sequence[Item], counters: Counters) -> list[DeadLetter]:
    """Count the results of decided items, and return the dead letters to write before the cursor passes them."""
    letters: list[DeadLetter] = []
    events: Tally[tuple[str, Outcome]] = Tally()
    plain: Tally[str] = Tally()
    for item in items:
        if _is_plain(item):
            plain[item.type] += 1
            continue
        if item.part and item.opened:
            events["snapshot", item.opened.outcome] += 1
        for command, result in _lines(item):
            events["level" if isinstance(command, Level) else KINDS[item.type], result.outcome] += 1
            if result.outcome is Outcome.LATE_DELTA:
                _log_late(command)
        if letter := dead_letter_of(item):
            letters.append(letter)
            counters.count_dead_letter(letter.reason)
            log.warning("dead letter", reason=letter.reason, detail=letter.detail, sequence=item.message.sequence)
        elif item.type == HEARTBEAT:
            counters.heartbeats += 1
        elif item.type == TOUCH:
            counters.touches += 1
    counters.messages += len(items)
    for type, lines in plain.items():
        events[KINDS[type], Outcome.APPLIED] += lines
    for (kind, outcome), lines in events.items():
        counters.count_events(kind, outcome.name.lower(), lines)
    return letters


def _is_plain(item: Item) -> bool:
    """Whether it is a number of one line that was applied, as most are: all that is to do is count it."""
    if len(item.results) != 1 or item.rejected or item.part:
        return False
    return item.results[0].outcome is Outcome.APPLIED and isinstance(item.commands[0], Level | Delta)


def dead_letter_of(item: Item) -> DeadLetter | None:
    """The dead letter for a message that was rejected, or of which the ledger refused at least one line."""
    if item.rejected:
        rejected = item.rejected
        return DeadLetter(item.message, rejected.reason, rejected.detail, positions_in(item.message.data))
    if item.part and item.opened and item.opened.outcome > Outcome.AGAIN:
        reason, text = _REASONS[item.opened.outcome]
        what = f"part {item.part.part} of snapshot {item.part.snapshot!r}"
        detail = f"{what}: {text.format(item.opened.detail)}; nothing of it was applied"
        return DeadLetter(item.message, reason, detail, positions_in(item.message.data))
    lines = list(_lines(item))
    refused = [(index, result) for index, (_, result) in enumerate(lines) if result.outcome > Outcome.AGAIN]
    if not refused:
        return None
    reason = _REASONS.get(refused[0][1].outcome, (Reason.UNPROCESSABLE, ""))[0]
    commands = [lines[index][0] for index, _ in refused]
    named = [(getattr(command, "sku", ""), getattr(command, "location", "")) for command in commands]
    positions = [(sku, location) for sku, location in named if sku and location]
    if isinstance(commands[0], TellOrder):
        positions = [(line.sku, line.location) for line in commands[0].lines if line.location]
        return DeadLetter(item.message, reason, f"nothing of it was applied: {_why(refused[0][1])}", positions)
    detail = "; ".join(f"lines[{index}]: {_why(result)}" for index, result in refused[:_NAMED])
    return DeadLetter(item.message, reason, f"{len(refused)} of {len(lines)} lines refused: {detail}", positions)


def _lines(item: Item) -> Iterator[tuple[Command, Result]]:
    """Each line's command and result; what a line includes by position is refused for the line's own reasons."""
    told = zip(item.commands, item.results, strict=False)
    return ((command, result) for command, result in told if not isinstance(command, Include))


def _why(result: Result) -> str:
    text = _REASONS.get(result.outcome, ("", f"{result.outcome.name} {{}}"))[1]
    return text.format(result.detail)


def _log_late(command: Command) -> None:
    named = {name: getattr(command, name, None) for name in ("sku", "location", "source", "position")}
    log.warning("a delta is older than the memory of deltas and was not applied", **named)
