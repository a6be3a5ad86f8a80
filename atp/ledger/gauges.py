"""Gauges: how the ledger does, as far as this process knows without asking; for those who decide what to take on."""

import time
from collections.abc import Sequence

from atp.ledger.batcher import Batcher

#: A call that is longer ago says nothing about now.
_FRESH_S = 1.0


class Gauges:
    """Over all partitions; the worst one counts, except that one that answers is enough not to be ``away``."""

    def __init__(self, batchers: Sequence[Batcher], outbox_max: int) -> None:
        self._batchers = batchers
        self._outbox_max = outbox_max

    @property
    def away(self) -> bool:
        """Whether no partition takes commands now."""
        return all(batcher.away is not None for batcher in self._batchers)

    @property
    def recovering(self) -> bool:
        """Whether one is made anew, or waits for it (R2)."""
        return any(batcher.recovering for batcher in self._batchers)

    @property
    def outbox_fill(self) -> float:
        """Unjournaled entries of the most there may be, 0…1, as of the last replies (R19)."""
        return max(batcher.unjournaled for batcher in self._batchers) / self._outbox_max

    @property
    def batch_s(self) -> float:
        """What the slowest call takes or took, in seconds; 0 without one in the last second."""
        now = time.monotonic()
        return max(_took(batcher, now) for batcher in self._batchers)


def _took(batcher: Batcher, now: float) -> float:
    if batcher.replied_at < batcher.asked_at:
        return now - batcher.asked_at  # still under way
    return batcher.replied_at - batcher.asked_at if now - batcher.replied_at < _FRESH_S else 0.0
