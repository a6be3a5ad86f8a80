"""How a part of a snapshot goes through the ledger: told before its lines, and told again when all were taken (R13).

The first word comes back with whether the lines may be applied: a part that contradicts the others is refused as a
whole. The second travels at the head of the next call, as the cursor does, and before it: whoever dies between repeats
the part, which has no second effect. A part of which the ledger refused a line has not arrived; its dead letter,
replayed, makes it arrive.
"""

from collections.abc import Iterator, Sequence
from typing import Protocol

from msgspec import structs

from atp.domain.outcomes import Outcome
from atp.domain.results import Result
from atp.domain.snapshots import SnapshotPart

#: Answers to a part after which its lines are levels to be applied.
_LINES_WANTED = frozenset((Outcome.APPLIED, Outcome.REPLAYED, Outcome.SNAPSHOT_OVER))


class HasPart(Protocol):
    """A message on its way."""

    part: SnapshotPart | None


def runs[Item: HasPart](items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    """The items, cut where a source goes on to another snapshot: the one before may be complete by then."""
    start, last = 0, {}
    for index, item in enumerate(items):
        if item.part is None:
            continue
        if last.setdefault(item.part.source, item.part.snapshot) != item.part.snapshot:
            yield items[start:index]
            start, last = index, {item.part.source: item.part.snapshot}
    yield items[start:]


def wants_lines(opened: Result) -> bool:
    """Whether the part's lines are to be applied."""
    return opened.outcome in _LINES_WANTED


def taken(part: SnapshotPart, opened: Result, results: Sequence[Result]) -> SnapshotPart | None:
    """The second word on a part, or None for one of which a line was refused, or that counts for nothing."""
    if opened.outcome is Outcome.SNAPSHOT_OVER or any(result.outcome > Outcome.AGAIN for result in results):
        return None
    return structs.replace(part, taken=True)
