"""Line: those who wait in front of one class's slots.

Clients take turns, so that one who sends more does not make the others wait longer. Who is refused is always who came
first: of a line that stands, the newest are the ones whose callers still wait (adaptive LIFO).
"""

import asyncio
from collections import deque

from atp.api.problems import Kind


class Waiter:
    """A request that waits. ``answer`` becomes None when it is admitted, or why it is refused."""

    __slots__ = ("answer", "client", "since", "until")

    def __init__(self, answer: "asyncio.Future[Kind | None]", client: str, since: float, until: float) -> None:
        self.answer = answer
        self.client = client
        self.since = since
        self.until = until  # the caller has no use for an answer after it

    @property
    def gone(self) -> bool:
        """Whether it was answered, or its caller's task ended."""
        return self.answer.done()


class Line:
    """A line of one class. Waiters that are gone stay where they are until somebody comes by."""

    def __init__(self) -> None:
        self._turns: dict[str, deque[Waiter]] = {}  # the first client's turn is next
        self._all: deque[Waiter] = deque()  # by age
        self.length = 0

    @property
    def clients(self) -> int:
        """How many have a turn."""
        return len(self._turns)

    def join(self, waiter: Waiter) -> None:
        self._turns.setdefault(waiter.client, deque()).append(waiter)
        self._all.append(waiter)
        self.length += 1

    def leave(self) -> None:
        """One of the waiters is gone."""
        self.length -= 1
        if not self.length:
            self._turns.clear()
            self._all.clear()

    def next(self, since: float, *, newest: bool) -> Waiter | None:
        """Whose turn it is: the next client's oldest request, or its newest. The caller answers it, and ``leave``s.

        Who came before ``since`` has no turn any more, only ``newest`` and ``oldest`` find it.
        """
        while self._turns:
            client = next(iter(self._turns))
            theirs = self._turns.pop(client)
            while theirs:
                waiter = theirs.pop() if newest else theirs.popleft()
                if not waiter.gone and waiter.since >= since:
                    if theirs:
                        self._turns[client] = theirs  # behind all others
                    return waiter
        return None

    def newest(self) -> Waiter | None:
        """Who came last, whoever it is; the caller answers it, and ``leave``s."""
        while self._all:
            if not (waiter := self._all.pop()).gone:
                return waiter
        return None

    def oldest(self) -> Waiter | None:
        """Who has waited longest; stays in the line."""
        while self._all:
            if not self._all[0].gone:
                return self._all[0]
            self._all.popleft()
        return None
