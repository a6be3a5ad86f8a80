"""Gate: slots for requests under way, by class, and the lines in front of them.

On the way of every request: taking a slot is two comparisons and two increments, giving it back one measurement more.
All else happens only when a request cannot have a slot at once. Callers are on one event loop; nothing here locks.
"""

import asyncio
import math
import time
from collections.abc import Callable, Collection

from atp.api.admission.classes import Class
from atp.api.admission.line import Line, Waiter
from atp.api.admission.settings import AdmissionSettings
from atp.api.problems import DEADLINE_TOO_SHORT, OVERLOADED, Kind

#: How often who waits too long is refused. One refusal alone wakes server and caller for itself, and brings that
#: caller back alone: every 5 ms it cost three times what it costs in company.
LOOK_S = 0.05

#: A look that comes later than this was kept from coming, as everybody was: by the machine, or a collection of garbage.
#: What takes less is a loop with much to do, which is what lines are about.
STALL_S = 0.1

#: A line that is empty now and then still stands, if one of it was refused so short a time ago.
_LASTS_S = 1.0

#: What a request of each class counts for against the limit.
_WEIGHTS = (1, 1, 1, 1, 0)

#: The more important classes first; nobody waits for IDLE's.
_IN_ORDER = (Class.P0, Class.P1, Class.P2, Class.P3)

#: Lines are this many times as long as the limit; who came first goes first.
_LINES_MAX = 2


class Counts:
    """What happened since the last look, by class."""

    __slots__ = ("crowded", "refused", "seconds", "waited")

    def __init__(self) -> None:
        self.seconds: list[float] = []  # of answers that the limit follows
        self.waited = [0] * len(Class)
        self.refused = [0] * len(Class)
        self.crowded = [0] * len(Class)  # of those refused: for want of a slot, though the class is open


class Gate:
    """Gives slots. Whoever looks takes the ``counts`` and leaves new ones.

    Set from outside are ``p50_s``, what an answer usually takes, and ``drain``, how many are given a second.
    """

    def __init__(self, settings: AdmissionSettings, clock: Callable[[], float] = time.perf_counter) -> None:
        self.settings = settings
        self.limit = settings.slots_max
        self.total = 0
        self.taken = [0] * len(Class)
        self.counts = Counts()
        self.p50_s = self.drain = 0.0
        self.waiting = 0
        self.reconsider: Callable[[], None] = lambda: None  # closes and opens classes as the ledger is now
        self._clock = clock
        self._lines = [Line() for _ in Class]
        self._closed: dict[Class, Kind] = {}
        self._credit = 1.0
        self._stalled_s = 0.0  # in which nobody could be served, so that nobody waited
        self._looked_at = self._empty_at = clock()
        self._refused_at = -math.inf  # one that waited
        self._look: asyncio.TimerHandle | None = None
        self.resize(settings.slots_max)

    # -- on the way of every request ---------------------------------------------------------------------------------

    def enter(self, cls: int) -> bool:
        """Take a slot, if there is one."""
        taken = self.taken
        if (self.total < self.limit and taken[cls] < self._ceilings[cls]) or taken[cls] < self._shares[cls]:
            taken[cls] += 1
            self.total += _WEIGHTS[cls]
            return True
        return False

    def leave(self, cls: int, seconds: float) -> None:
        """Give the slot back after ``seconds``; 0 for an answer that says nothing about how long work takes."""
        self.taken[cls] -= 1
        self.total -= _WEIGHTS[cls]
        if seconds and cls < Class.P3:
            self.counts.seconds.append(seconds)
        if self.waiting:
            self._serve()

    # -- when there is no slot ---------------------------------------------------------------------------------------

    async def wait(self, cls: Class, client: str = "", remaining_s: float = 0.0) -> Kind | None:
        """Wait for a slot: None when it was taken, else why the request is refused.

        ``remaining_s`` is how long the caller says it waits, 0 if it does not say.
        """
        if self._closed.get(cls, OVERLOADED) is not OVERLOADED:
            self.reconsider()  # the ledger may have answered since somebody looked
            if self.enter(cls):
                return None
        now = self._now()
        kind = self._closed.get(cls)
        if cls is Class.IDLE or (kind and self._may_refuse(now)):
            self.counts.refused[cls] += 1
            return kind or OVERLOADED
        until = now + remaining_s if remaining_s else math.inf
        waiter = Waiter(asyncio.get_running_loop().create_future(), client, now, until)
        line = self._lines[cls]
        if not self.waiting and now - self._refused_at > _LASTS_S:
            self._empty_at = now
        line.join(waiter)
        self.waiting += 1
        self.counts.waited[cls] += 1
        if self._look is None:
            self._look_later()
        try:
            return await waiter.answer
        except asyncio.CancelledError:
            if waiter.answer.cancelled():
                self._forget(line)
            elif waiter.answer.result() is None:
                self._give_back(cls)
            raise

    def resize(self, limit: float, closed: dict[Class, Kind] | None = None, narrow: Collection[Class] = ()) -> None:
        """Set the limit, which classes are refused whatever there is room for, and which have few slots only."""
        settings = self.settings
        self.limit = int(limit)
        self._closed = closed or {}
        self._shares = [int(limit * part) for part in settings.shares] + [settings.idle_max]
        self._ceilings = [int(limit * part) for part in settings.ceilings] + [0]
        for cls in self._closed:
            self._shares[cls] = self._ceilings[cls] = 0
        for cls in narrow:
            self._shares[cls], self._ceilings[cls] = 0, settings.slots_min
        self._spares = [0, *(share * 3 // 4 for share in self._shares[1:])]  # P0 leaves nothing
        if self.waiting:
            self._serve()

    def look(self) -> None:
        """Refuse who has waited too long."""
        now = self._now()
        for cls in reversed(Class):
            self._refuse_late(cls, now)

    # -- inside ------------------------------------------------------------------------------------------------------

    def _now(self) -> float:
        return self._clock() - self._stalled_s

    def _standing(self, now: float) -> bool:
        return now - self._empty_at > self.settings.wait_calm_s

    def _may_refuse(self, now: float) -> bool:
        """Whether the pace leaves room for one refusal, which is taken."""
        pace = max(self.settings.refusals_min, self.settings.refusals_share * self.drain)
        self._credit = min(self._credit + pace * (now - self._looked_at), max(1.0, pace * self.settings.wait_calm_s))
        self._looked_at = now
        if self._credit < 1:
            return False
        self._credit -= 1
        return True

    def _serve(self) -> None:
        """Give free slots to those who wait: the more important class first.

        Of a line that stands most free slots are left to who comes next, as long as only one client waits: waiting
        costs a tenth of an answer, and in overload somebody does come. Who has waited for too long is begun only where
        slots would else be empty: it would wait a good part longer for its answer than those who come now.
        """
        now = self._now()
        newest = self._standing(now)
        for cls in _IN_ORDER:
            line = self._lines[cls]
            if not line.length:
                continue
            spare = self._spares[cls] if newest and line.clients < 2 else 0
            since = now - self._allowed(cls, now)
            while line.length and self._room(cls) > spare:
                waiter = line.next(since, newest=newest)
                if waiter is None and self.total * 2 < self.limit:
                    waiter = line.newest()
                if waiter is None:
                    break
                if now + self.p50_s < waiter.until:
                    self.enter(cls)  # there is room
                    self._answer(line, waiter, None)
                else:
                    self._refuse(cls, waiter, DEADLINE_TOO_SHORT)

    def _room(self, cls: int) -> int:
        """How many slots the class can have now."""
        taken = self.taken[cls]
        return max(self._shares[cls] - taken, min(self.limit - self.total, self._ceilings[cls] - taken))

    def _refuse_late(self, cls: Class, now: float) -> None:
        line = self._lines[cls]
        allowed = self._allowed(cls, now)
        while (waiter := line.oldest()) is not None:
            age = now - waiter.since
            hopeless = now + self.p50_s >= waiter.until  # a slot would come too late: told while somebody still listens
            if not hopeless and age < self.settings.wait_max_s:
                crowded = line.length > _LINES_MAX * self.limit
                if (age < allowed and not crowded) or not self._may_refuse(now):
                    return
            else:
                self._credit = max(0.0, self._credit - 1)
            self._refused_at = now
            self._refuse(cls, waiter, DEADLINE_TOO_SHORT if hopeless else self._closed.get(cls, OVERLOADED))

    def _allowed(self, cls: Class, now: float) -> float:
        if cls in self._closed:
            return 0.0
        if cls is Class.P0:
            return self.settings.wait_max_s
        if self._standing(now):
            return max(self.settings.wait_target_s, self.p50_s / 4)
        return self.settings.wait_calm_s

    def _refuse(self, cls: Class, waiter: Waiter, kind: Kind) -> None:
        self.counts.refused[cls] += 1
        self.counts.crowded[cls] += cls not in self._closed
        self._answer(self._lines[cls], waiter, kind)

    def _answer(self, line: Line, waiter: Waiter, kind: Kind | None) -> None:
        waiter.answer.set_result(kind)
        self._forget(line)

    def _untake(self, cls: Class) -> None:
        self.taken[cls] -= 1
        self.total -= _WEIGHTS[cls]

    def _give_back(self, cls: Class) -> None:
        self._untake(cls)
        if self.waiting:
            self._serve()

    def _forget(self, line: Line) -> None:
        line.leave()
        self.waiting -= 1

    def _look_later(self) -> None:
        due = self._clock() + LOOK_S
        self._look = asyncio.get_running_loop().call_later(LOOK_S, self._look_again, due)

    def _look_again(self, due: float) -> None:
        self._look = None
        if (late := self._clock() - due) > STALL_S:
            self._stalled_s += late
        self.look()
        if self.waiting:
            self._look_later()
