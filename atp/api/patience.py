"""Patience: a bound on waiting that costs a request next to nothing.

``asyncio.timeout`` makes a timer for every request and throws it away microseconds later. Here whoever waits is noted,
and one timer looks several times within the bound for those that wait too long: they end at most a quarter late.
"""

import asyncio
from functools import cache
from types import TracebackType


class Patience:
    """``with`` around what a task waits for; raises TimeoutError in it. Shared by all tasks, not nested in one."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._since: dict[asyncio.Task, float] = {}
        self._late: set[asyncio.Task] = set()
        self._loop: asyncio.AbstractEventLoop | None = None  # whose timer runs; None while nobody waits

    def __enter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None, "only a task waits"
        loop = task.get_loop()
        if loop is not self._loop:
            self._loop = loop
            loop.call_later(self._seconds / 4, self._look)
        self._since[task] = loop.time()

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        task = asyncio.current_task()
        assert task is not None, "only a task waits"
        del self._since[task]
        if kind is not None and task in self._late:
            self._late.discard(task)
            if kind is asyncio.CancelledError and task.uncancel() <= 0:  # by nobody else as well
                raise TimeoutError

    def _look(self) -> None:
        assert self._loop is not None, "a timer runs"
        limit = self._loop.time() - self._seconds
        for task, since in self._since.items():
            if since <= limit and task not in self._late:
                self._late.add(task)
                task.cancel()
        if self._since:
            self._loop.call_later(self._seconds / 4, self._look)
        else:
            self._loop = None


@cache
def patience(seconds: float) -> Patience:
    """The one of this bound; bounds are settings, so there are few."""
    return Patience(seconds)
