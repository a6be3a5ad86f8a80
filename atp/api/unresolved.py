"""Unresolved: reserves that were answered with an unknown outcome, so that their repeats come before what is new (R25).

A repeat under the same Idempotency-Key is what tells a caller whether units are held for it; shed, it would leave them
held for nobody. Callers cannot ask for that: it is this process's own answer that makes a key known. A process beside
it does not know it, and a caller that never had an answer is not known to any; they wait like all who reserve.
"""

import time
from collections.abc import Callable, Mapping

from atp.api.admission.classes import Class

#: So many are remembered, the newest, for so long.
KEPT, KEPT_S = 4_096, 60.0


class Unresolved:
    """By the credentials and the key as they came: nothing is decoded while a process sheds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until: dict[tuple[bytes, bytes], float] = {}  # in the order of noting

    def note(self, headers: Mapping[bytes, bytes]) -> None:
        """The outcome of a reserve with these headers is unknown."""
        name = _name(headers)
        self._until.pop(name, None)
        self._until[name] = self._clock() + KEPT_S
        if len(self._until) > KEPT:
            del self._until[next(iter(self._until))]

    def class_of(self, cls: Class, headers: Mapping[bytes, bytes]) -> Class:
        """``cls``, or P0 for the repeat of such a reserve."""
        if cls is Class.P1 and self._until and self._until.get(_name(headers), 0.0) > self._clock():
            return Class.P0
        return cls


def _name(headers: Mapping[bytes, bytes]) -> tuple[bytes, bytes]:
    return headers.get(b"authorization", b""), headers.get(b"idempotency-key", b"")
