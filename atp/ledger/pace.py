"""Pace: how much one call may ask of the script, so that nobody waits long behind it.

The ledger has one thread: while a script runs, every other process waits. How long a line takes depends on the machine
and the moment by a factor of three and more, so the bound is in time, and what a line takes is learned from what the
script said of the calls before (the server's CPU, not the wall: a machine that stood still says nothing of the work).
"""

#: What a line is taken to cost before anything was learned, µs.
FIRST_GUESS_US = 30.0

#: Calls of fewer lines are mostly what every call costs, and teach nothing of a line.
TEACHING_LINES = 16

#: A call may always take so many lines. What every call costs is shared by its lines: with 24, as a crowded machine
#: made them, a reservation took the server a fifth and the process that asks a sixth more than with 55.
LINES_MIN = 48

# A slower moment is believed sooner than a faster one: doubt errs on the short side. A quarter for the slower made
# calls shorter than the goal asks wherever times vary, and most of all under overload, where that cost goodput.
_SLOWER, _FASTER = 0.1, 0.05


class Pace:
    """The lines of the next call. ``goal_us`` is what its script should take, ``lines_max`` bounds it all the same."""

    __slots__ = ("_goal_us", "_line_us", "_lines_max")

    def __init__(self, goal_us: int, lines_max: int) -> None:
        self._goal_us, self._lines_max = goal_us, lines_max
        self._line_us = FIRST_GUESS_US

    @property
    def lines(self) -> int:
        """The weight a call may have (``weights``), and the due holds it may settle."""
        return min(self._lines_max, max(LINES_MIN, int(self._goal_us / self._line_us)))

    def learn(self, lines: float, spent_us: int) -> None:
        """A call of so many lines took so long in the script."""
        if lines < TEACHING_LINES:
            return
        difference = spent_us / lines - self._line_us
        self._line_us += difference * (_SLOWER if difference > 0 else _FASTER)
