"""Comeback: when those who are refused are told to come again.

As soon as the queue passes, if it passes. A caller that comes back too early is refused again, which costs a third of
an answer among many others and more than one alone. So while an overload lasts those who are away stay away for so long
that refusals remain a small part of the answers: ``away ÷ after`` of them return a second. How many are away follows
from what they were told. Nobody is sent away for longer than the overload has lasted already: a crowd that came once
finds the slots empty a second later, and there should not be half a minute's silence behind a second's noise.
"""

from atp.api.admission.refusals import RETRY_MAX_S, RETRY_MIN_S

#: Nobody is sent away for longer than so many times what the overload has lasted.
_AHEAD = 2.0


class Comeback:
    """``after_s`` is for who is refused now, before the spread."""

    def __init__(self, share: float) -> None:
        """``share`` is what refusals may be of the answers."""
        self.after_s = RETRY_MIN_S
        self._share = share
        self._away = self._lasted_s = 0.0

    def look(self, refused: int, waiting: int, drain: float, passed_s: float, *, lasts: bool) -> None:
        """``refused`` in the last ``passed_s``, ``waiting`` now, ``drain`` answers a second, whether it ``lasts``."""
        self._lasted_s = self._lasted_s + passed_s if lasts else max(0.0, self._lasted_s - passed_s)
        self._away += refused - self._away * min(1.0, passed_s / self.after_s)
        few = (waiting + self._away) / (self._share * max(drain, 1.0))
        self.after_s = max(RETRY_MIN_S, min(few, _AHEAD * self._lasted_s, RETRY_MAX_S))
