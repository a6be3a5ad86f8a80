"""Pace: a check may take a share of the ledger's time and not more."""

import asyncio
import time
from collections.abc import Awaitable

#: Pauses shorter than this are saved up.
_PAUSE_MIN_S = 0.002


class Pace:
    """Measures each call as its caller sees it, so that a busy ledger is left alone by itself."""

    def __init__(self, share: float) -> None:
        self._per_second = 1 / share - 1
        self._owed = 0.0

    async def take[T](self, call: Awaitable[T]) -> T:
        """The answer of a call, after a pause as long as it has earned."""
        began = time.perf_counter()
        answer = await call
        took = time.perf_counter() - began
        self._owed += took * self._per_second
        if self._owed > _PAUSE_MIN_S:
            pause, self._owed = self._owed, 0.0
            await asyncio.sleep(pause)
        return answer
