"""Announcer: which skus owe an availability event, and when.

Per sku at most one event in ``announce_every_s``, and the last state always (R33): a sku stays due until an event
carried a reading at or behind its newest change.
"""

import time

from atp.outbox.settings import Settings


class Announcer:
    """Keeps the due skus of one partition. Holds no connection."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._due: dict[str, int] = {}  # sku → seq of its first change that no event shows yet
        self._last: dict[
            str, tuple[float, int]
        ] = {}  # sku → when an event was sent, and the seq it showed; oldest first

    def touch(self, sku: str, seq: int) -> None:
        """The sku changed at ``seq``."""
        last = self._last.get(sku)
        if last is None or last[1] < seq:
            self._due.setdefault(sku, seq)

    def ready(self) -> list[str]:
        """Skus that may have their event now, those that waited longest first."""
        found: list[str] = []
        latest = time.monotonic() - self._settings.announce_every_s
        for sku in self._due:
            last = self._last.get(sku)
            if last is None or last[0] <= latest:
                found.append(sku)
                if len(found) == self._settings.announce_max:
                    break
        return found

    def sent(self, sku: str, seq: int) -> None:
        """An event with the sku's state at ``seq`` was acknowledged."""
        self._due.pop(sku, None)  # every change known here is older than the reading
        self._last.pop(sku, None)
        self._last[sku] = (time.monotonic(), seq)
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
        return min(published, min(self._due.values(), default=published + 1) - 1)

    @property
    def owes(self) -> bool:
        """Whether any sku is due."""
        return bool(self._due)

    def clear(self) -> None:
        """Forget everything: the partition was somebody else's for a while."""
        self._due.clear()
        self._last.clear()
