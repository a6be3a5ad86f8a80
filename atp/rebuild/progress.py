"""Progress: how far a rebuild is, told often enough for people and seldom enough for the ledger."""

import time
from collections.abc import Awaitable, Callable

import structlog

log = structlog.get_logger("atp.rebuild")

#: What is told of each step: phase, how much of it is done, of how much (0: not known).
Show = Callable[[str, int, int], Awaitable[None]]


class Progress:
    """Phases with their times; ``show`` hears of them at most every ``every_s``. ``doing`` is what logs call it."""

    def __init__(self, partition: int, shows: list[Show], every_s: float, doing: str) -> None:
        self.seconds: dict[str, float] = {}
        self._partition = partition
        self._shows = shows
        self._every_s = every_s
        self._doing = doing
        self._phase = ""
        self._began = self._shown = 0.0
        self._told = -1

    async def phase(self, name: str, total: int = 0) -> None:
        """A step begins, and with it the one before ends."""
        now = time.monotonic()
        if self._phase:
            self.seconds[self._phase] = self.seconds.get(self._phase, 0.0) + now - self._began
        self._phase, self._began, self._shown, self._told = name, now, 0.0, -1
        if name:
            await self.step(0, total)

    async def step(self, done: int, total: int) -> None:
        """``done`` of the phase's ``total``; shown when it is time."""
        now = time.monotonic()
        if now - self._shown < self._every_s:
            return
        self._shown = now
        percent = 100 * done // total if total else 0
        if percent // 10 != self._told:
            self._told = percent // 10
            log.info(self._doing, partition=self._partition, phase=self._phase, done=done, total=total)
        for show in self._shows:
            await show(self._phase, done, total)
