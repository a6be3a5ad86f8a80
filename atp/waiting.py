"""Waiting with a limit, as every loop that ends by an event needs it, and longer and longer while something is away."""

import asyncio
import random
import time

import structlog


async def stopped_within(stop: asyncio.Event, timeout_s: float) -> bool:
    """Sleep, but no longer than until ``stop`` is set; whether it is."""
    try:
        async with asyncio.timeout(timeout_s):
            await stop.wait()
    except TimeoutError:
        return False
    return True


class Pauses:
    """Pauses between attempts at something that is away: they double up to ``max_s``, seconds.

    ``max_s`` is what a server that is back may be waited for in vain, so it is short; each pause is shortened at
    random, so that those who wait do not come together. What held for longer than the longest pause begins anew.
    """

    def __init__(self, first_s: float, max_s: float) -> None:
        self._first_s = first_s
        self._max_s = max_s
        self._pause_s = first_s
        self._until = 0.0

    def next(self) -> float:
        """Seconds until the next attempt."""
        now = time.monotonic()
        if now > self._until + self._max_s:
            self._pause_s = self._first_s
        pause = self._pause_s * random.uniform(0.5, 1.0)  # noqa: S311 - spreads attempts, no secret
        self._pause_s = min(2 * self._pause_s, self._max_s)
        self._until = now + pause
        return pause


class Attempts:
    """Pauses, and one log line per change of state instead of one per attempt. ``log`` is bound to what is tried."""

    def __init__(self, log: structlog.typing.FilteringBoundLogger, first_s: float, max_s: float) -> None:
        self._log = log
        self.pauses = Pauses(first_s, max_s)  # for failures that nobody need be told of
        self._failing: type[BaseException] | None = None

    def failed(self, error: BaseException) -> float:
        """Seconds until the next attempt."""
        if self._failing is not type(error):
            self._failing = type(error)
            self._log.warning("waiting", error=type(error).__name__, detail=str(error))
        return self.pauses.next()

    def succeeded(self) -> None:
        """Note that it works (again)."""
        if self._failing is not None:
            self._log.info("going on")
        self._failing = None
