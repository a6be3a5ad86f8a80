"""Limit: how many requests are under way at once, from how long their answers take.

A gradient on an absolute target, not on the shortest answer seen as in Gradient2: here the time of an answer is
proportional to the number of callers by design (one batch takes whoever has arrived), and 256 callers are no overload
(R25, ADR 14).
"""

import math
from collections.abc import Sequence

from msgspec import Struct

#: Fewer answers than this say nothing about the tenth that takes longest, unless there are no more in a second.
SAMPLES_MIN = 50
_LOOKS_MAX = 10

#: So many times in turn answers have to be late: what a machine or a collector of garbage held up is answered in two.
_LATE_MIN = 3

#: What an answer took is forgotten so quickly while nobody asks, else nobody in a hurry were let in again.
_FORGET = 0.8

_SMOOTHING = 0.2
_GROWTH = 0.25


class Limit:
    """The limit of a process, which begins with the highest, and what an answer usually takes (``p50_s``)."""

    def __init__(self, target_ms: float, low: int, high: int) -> None:
        self.value = float(high)
        self.p50_s = 0.0
        self._bounds = target_ms, low, high
        self._seconds: list[float] = []
        self._looks = self._most = self._late = 0

    def update(self, seconds: Sequence[float], active: int) -> None:
        """Follow the answers since the last look, with ``active`` requests under way now.

        While fewer than half of the limit are, what their answers take says nothing about it, be it ever so long: a few
        requests that wait for a disk would else leave few slots for the crowd that comes when it is quick again.
        """
        self._seconds += seconds
        self._looks += 1
        self._most = max(self._most, active)
        if len(self._seconds) >= SAMPLES_MIN or (self._seconds and self._looks >= _LOOKS_MAX):
            taken = measured(self._seconds)
            self.p50_s = taken.p50 / 1000
            crowded = self._most * 2 >= self.value
            self._late = self._late + 1 if crowded and taken.p90 > self._bounds[0] else 0
            if not 0 < self._late < _LATE_MIN:
                self.value = next_limit(self.value, taken.p90 if crowded else 0.0, *self._bounds)
            self._seconds, self._looks, self._most = [], 0, active
        elif not self._seconds and not active:
            self.p50_s *= _FORGET
            self.value = next_limit(self.value, 0.0, *self._bounds)
            self._looks = self._most = 0


class Taken(Struct, frozen=True):
    """What the answers of one interval took, in ms."""

    p50: float
    p90: float


def measured(seconds: Sequence[float]) -> Taken:
    """Median and ninth tenth of at least one time."""
    times = sorted(seconds)
    return Taken(times[len(times) // 2] * 1000, times[len(times) * 9 // 10] * 1000)


def next_limit(limit: float, p90_ms: float, target_ms: float, low: int, high: int) -> float:
    """The limit after an interval whose answers took ``p90_ms``.

    Above the target it shrinks in proportion, by a tenth of itself at most; near the target it grows by a root of
    itself (room for a queue that proves capacity), and quickly while answers take less than half of it: from the lowest
    limit to the highest within two seconds.
    """
    gradient = max(0.5, min(1.0, target_ms / p90_ms)) if p90_ms else 1.0
    if gradient < 1.0:
        limit += _SMOOTHING * (limit * gradient + math.sqrt(limit) - limit)
    elif p90_ms > target_ms / 2:
        limit += _SMOOTHING * math.sqrt(limit)
    else:
        limit += max(1.0, _GROWTH * limit)
    return min(float(high), max(float(low), limit))
