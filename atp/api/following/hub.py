"""Hub: readers who wait until the stream passes their cursor, and their turns.

Nothing runs for a reader who waits but one timer. When there is news, readers are woken a few at a time, at a bounded
rate: with thousands of them everybody hears a little later, of more at once, and reserve keeps its share.
"""

import asyncio
from collections.abc import Callable, Hashable

#: News of so long are told together.
GATHER_S = 0.05

#: Cost units per second, and those woken in one turn. A stream's reader costs one, a long poll a whole request.
UNITS_PER_S, TURN = 500, 10


class Hub:
    """``through`` says how far the stream is."""

    def __init__(self, through: Callable[[], int]) -> None:
        self._through = through
        self._waiting: dict[asyncio.Future[bool], tuple[int, int, Hashable]] = {}  # by arrival: cursor's seq, cost, who
        self._news = asyncio.Event()
        self._waker: asyncio.Task[None] | None = None
        self._stop: asyncio.Task[None] | None = None
        self.closed = False

    def __len__(self) -> int:
        return len(self._waiting)

    async def wait(self, after: int, timeout_s: float, cost: int = 1, caller: Hashable = None) -> bool:
        """Wait for what follows ``after``: False when it did not come in time, or this process ends.

        ``caller`` may be sent away meanwhile, which is also False.
        """
        if self.closed:
            return False
        loop = asyncio.get_running_loop()
        future: asyncio.Future[bool] = loop.create_future()
        timer = loop.call_later(timeout_s, _answer, future, False)
        self._waiting[future] = (after, cost, caller)
        if self._waker is None or self._waker.done():
            self._waker = asyncio.create_task(self._wake())
        if after < self._through():
            self._news.set()
        try:
            return await future
        finally:
            timer.cancel()
            self._waiting.pop(future, None)

    def news(self) -> None:
        """The stream is further."""
        self._news.set()

    def callers(self) -> set[Hashable]:
        """Who waits; thousands of readers may be few callers."""
        return {caller for _, _, caller in self._waiting.values() if caller is not None}

    def send_away(self, caller: Hashable) -> None:
        """Let all who wait as ``caller`` look for themselves."""
        for future in [future for future, (_, _, who) in self._waiting.items() if who == caller]:
            _answer(future, False)

    def closes_with(self, stop: asyncio.Event) -> None:
        """Once ``stop`` is set everybody is answered, and nobody waits any more."""
        if self._stop is None:
            self._stop = asyncio.create_task(self._close_with(stop))

    async def close(self) -> None:
        """Answer everybody now."""
        self.closed = True
        for future in list(self._waiting):
            _answer(future, False)
        tasks = [task for task in (self._waker, self._stop) if task is not None and task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _close_with(self, stop: asyncio.Event) -> None:
        await stop.wait()
        await self.close()

    async def _wake(self) -> None:
        while self._waiting:
            await self._news.wait()
            await asyncio.sleep(GATHER_S)
            self._news.clear()
            through, spent = self._through(), 0
            for future, (after, cost, _) in list(self._waiting.items()):
                if after < through:
                    _answer(future, True)
                    spent += cost
                if spent >= TURN:
                    await asyncio.sleep(spent / UNITS_PER_S)
                    spent = 0


def _answer(future: asyncio.Future[bool], answer: bool) -> None:
    if not future.done():
        future.set_result(answer)
