"""Counts and times of the sale, for the view and the report; no check relies on them."""

import time
from array import array
from collections import Counter, deque

from msgspec import Struct, field

#: Latencies that the live view looks at.
_RECENT = 2_000


class Tally(Struct):
    """What happened so far. Latencies in ms, of single answered requests, retries not added up."""

    started: float = field(default_factory=time.monotonic)
    done: Counter[str] = field(default_factory=Counter)  # reserved, confirmed, released, abandoned, replayed, browsed
    refusals: Counter[str] = field(default_factory=Counter)  # by problem code
    retries: Counter[str] = field(default_factory=Counter)  # by what was answered, or "no answer"
    events: Counter[str] = field(default_factory=Counter)  # the feeders': levels, deltas, duplicates, …
    latencies: dict[str, array[float]] = field(default_factory=dict)
    recent: deque[float] = field(default_factory=lambda: deque(maxlen=_RECENT))
    position: int = 0  # highest seq that an answer named
    deadlines: list[float] = field(default_factory=list)  # of abandoned holds, monotonic
    units: int = 0  # reserved

    def took(self, what: str, seconds: float) -> None:
        """One request was answered."""
        ms = seconds * 1000
        self.latencies.setdefault(what, array("d")).append(ms)
        if what == "reserve":
            self.recent.append(ms)

    def saw(self, position: str) -> None:
        """An answer named this position (partition:seq)."""
        self.position = max(self.position, int(position.partition(":")[2]))

    def expired(self) -> int:
        """Abandoned holds whose deadline, with its grace, has passed."""
        now = time.monotonic()
        return sum(deadline < now for deadline in self.deadlines)


def quantile(values: "array[float] | deque[float]", share: float) -> float:
    """The value below which ``share`` of all lie; 0 of none."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
