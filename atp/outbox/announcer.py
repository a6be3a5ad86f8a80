"""Announcer: which skus owe an availability event, and when the ledger is asked for what it says.

Per sku at most one event in ``announce_every_s``, and the last state always (R33): a sku stays due until an event
carried a reading at or behind its newest change. How long that may take is not bounded: while more changes than
``announce_share`` of the ledger's time can read, events come later and show several changes at once, so that telling of
sales never takes the time to sell.
"""

import time
from collections.abc import Callable

from atp.ledger.pace import Pace
from atp.outbox.settings import Settings


class Announcer:
    """Keeps the due skus of one partition. Holds no connection. All ``partitions`` are in one server."""

    def __init__(self, settings: Settings, partitions: int = 1, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._share = settings.announce_share / partitions
        self._pause_s = settings.announce_every_s / 4  # some gather for one reading
        self._pace = Pace(int(self._pause_s * self._share * 1e6), settings.announce_max)
        self._read_at = 0.0  # the next reading, at the earliest
        #: By sku: seq of its first change that no event shows yet, and since when.
        self._due: dict[str, tuple[int, float]] = {}
        #: By sku: when an event was sent, and the seq it showed; oldest first.
        self._last: dict[str, tuple[float, int]] = {}

    def touch(self, sku: str, seq: int) -> None:
        """The sku changed at ``seq``."""
        last = self._last.get(sku)
        if last is None or last[1] < seq:
            self._due.setdefault(sku, (seq, self._clock()))

    def ready(self) -> list[str]:
        """Skus whose units may be read now for their event, those that waited longest first."""
        found: list[str] = []
        now = self._clock()
        if now < self._read_at:
            return found
        most, latest = self._pace.lines, now - self._settings.announce_every_s
        for sku in self._due:
            last = self._last.get(sku)
            if last is None or last[0] <= latest:
                found.append(sku)
                if len(found) == most:
                    break
        return found

    def read(self, skus: int, spent_us: int) -> None:
        """The reading of so many skus took so much of the server's time; the next one waits for its share."""
        self._pace.learn(skus, spent_us)
        self._read_at = self._clock() + max(self._pause_s, spent_us / 1e6 * (1 / self._share - 1))

    def sent(self, sku: str, seq: int) -> None:
        """An event with the sku's state at ``seq`` was acknowledged."""
        self._due.pop(sku, None)  # every change known here is older than the reading
        self._last.pop(sku, None)
        self._last[sku] = (self._clock(), seq)
        if len(self._last) > self._settings.announced_max:
            del self._last[next(iter(self._last))]

    def shown(self, sku: str) -> int:
        """The seq that the sku's last event showed, 0 if that is not known any more."""
        return self._last.get(sku, (0.0, 0))[1]

    def drop(self, sku: str) -> None:
        """Nothing new to tell about the sku."""
        self._due.pop(sku, None)

    def forget(self, sku: str) -> None:
        """What the sku's last event showed never was."""
        self._last.pop(sku, None)

    def settled_through(self, published: int) -> int:
        """Every sku changed up to this seq has had its event since."""
        return min(published, min((seq for seq, _ in self._due.values()), default=published + 1) - 1)

    @property
    def owes(self) -> bool:
        """Whether any sku is due."""
        return bool(self._due)

    @property
    def lag_s(self) -> float:
        """How long the sku waits for its event that waits longest."""
        return self._clock() - next(iter(self._due.values()))[1] if self._due else 0.0

    def clear(self) -> None:
        """Forget everything: the partition was somebody else's for a while."""
        self._due.clear()
        self._last.clear()
