"""Ladder: what is given up, in which order, when the process or its servers are in trouble.

Pressure is climbed at once and left one step at a time, so that what eased it does not bring it back (research/
reliability.md §4). A state — the ledger is away, the outbox fills — counts as long as it lasts and no longer.
"""

from enum import IntEnum

from msgspec import Struct

from atp.api.admission.classes import Class
from atp.api.problems import LEDGER_UNAVAILABLE, OVERLOADED, RECOVERING, Kind


class Step(IntEnum):
    """Steps of the ladder; each gives up what the lower ones do as well."""

    NORMAL = 0
    READS_FROM_VIEW = 1  # availability from this process's view, with its age
    NO_BULK = 2  # P3 is refused
    NO_READS = 3  # P2 is refused, and nobody new may wait for changes
    P0_ONLY = 5  # 4 was reserve with a ticket only: waiting rooms pace themselves, and tell so before (ADR 14)
    LEDGER_AWAY = 6  # nothing that writes can be done


class Signals(Struct, frozen=True):
    """How things are. Times in seconds, medians of the last second; fills 0…1."""

    lag_s: float = 0.0  # of the event loop's timers
    batch_s: float = 0.0  # one call of the ledger
    memory: float = 0.0  # of what this process may have
    outbox: float = 0.0  # entries that wait for the journal, of the most there may be (R19)
    waited: bool = False  # a request of P1 waited for a slot
    crowded: bool = False  # one was refused for want of a slot in the last second
    p0_crowded: bool = False  # the same of P0
    away: bool = False  # no partition answers
    recovering: bool = False  # … because it is made anew


def pressure(s: Signals) -> tuple[Step, str]:
    """The step that how things are asks for, and why."""
    for step, asked in (
        (Step.P0_ONLY, {"memory": s.memory > 0.9, "p0-crowded": s.p0_crowded}),
        (Step.NO_READS, {"memory": s.memory > 0.8, "batch": s.batch_s > 0.3, "lag": s.lag_s > 0.5}),
        (Step.NO_BULK, {"crowded": s.crowded, "batch": s.batch_s > 0.15, "lag": s.lag_s > 0.25}),
        (Step.READS_FROM_VIEW, {"waiting": s.waited, "batch": s.batch_s > 0.05, "lag": s.lag_s > 0.05}),
    ):
        for reason, is_so in asked.items():
            if is_so:
                return step, reason
    return Step.NORMAL, ""


def state(s: Signals) -> tuple[Step, str]:
    """The step that is so for as long as the servers are as they are."""
    if s.away:
        return Step.LEDGER_AWAY, "recovering" if s.recovering else "ledger"
    if s.outbox >= 0.8:
        return Step.P0_ONLY, "outbox"
    if s.outbox >= 0.5:
        return Step.NO_BULK, "outbox"
    return Step.NORMAL, ""


def closed(pressed: Step, s: Signals) -> dict[Class, Kind]:
    """Which classes are refused, and with what."""
    found: dict[Class, Kind] = {}
    if pressed >= Step.NO_BULK or s.outbox >= 0.5:
        found[Class.P3] = OVERLOADED
    if pressed >= Step.NO_READS:
        found[Class.P2] = found[Class.IDLE] = OVERLOADED
    if pressed >= Step.P0_ONLY:
        found[Class.P1] = OVERLOADED
    if s.away or s.outbox >= 0.8:
        found[Class.P1] = RECOVERING if s.recovering else LEDGER_UNAVAILABLE
    return found


class Ladder:
    """Where the process stands."""

    def __init__(self, descend_s: float) -> None:
        self.pressed = Step.NORMAL
        self._descend_s = descend_s
        self._since = float("-inf")  # when the step was last asked for, or reached from above

    def update(self, asked: Step, now: float) -> Step:
        """Climb to what is asked for, or go one step down once nobody asked for this one for a while."""
        if asked >= self.pressed:
            self.pressed, self._since = asked, now
        elif now - self._since >= self._descend_s:
            self.pressed, self._since = max(step for step in Step if step < self.pressed), now
        return self.pressed
