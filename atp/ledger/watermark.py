"""Level ``journal`` (D3): an answer waits until PostgreSQL has what it speaks of, many behind one commit (DESIGN §5).

The ledger's ``trimmed`` is the watermark: the drainer moves it after its commit, never before. Every reply tells it,
so a busy partition asks nobody; while answers wait and no reply comes it is read every few milliseconds. It counts
within the epoch of the batch only: a rebuilt ledger begins behind numbers that the journal never got.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable

from msgspec import Struct

from atp.domain.results import Result
from atp.ledger.errors import LedgerError, LedgerUnavailable, OutcomeUnknown
from atp.ledger.pending import Pending, fail

#: Between two looks at the watermark while answers wait.
LOOK_S = 0.004
#: The same while the journal takes nothing and nobody waits.
STALLED_LOOK_S = 0.05
#: How long one look may keep those whose time is up.
LOOK_TIMEOUT_S = 0.1
#: Between two looks for answers whose time is up.
EXPIRE_S = 0.025

#: Gives (epoch, trimmed) of the partition; raises LedgerError.
Look = Callable[[], Awaitable[tuple[int, int]]]

_TOO_LATE = "the journal did not take it in time: it was applied and may be lost with the ledger"
_STALLED = "the journal takes nothing, so nothing could be acknowledged"


class Held(Struct):
    """The answers of one batch."""

    seq: int  # of its last entry
    answers: list[tuple[Pending, Result]]


class Watermark:
    """The answers of one partition that wait for the journal."""

    def __init__(self, look: Look) -> None:
        self.stalled = False  # an answer's time was up and the journal has not moved since
        self._look = look
        self._epoch = self._passed = 0
        self._held: deque[Held] = deque()
        self._task: asyncio.Task[None] | None = None
        self._expire_at = 0.0

    def require(self) -> None:
        """Raise LedgerUnavailable while the journal takes nothing: units must not pile up held by unknown outcomes."""
        if self.stalled:
            raise LedgerUnavailable(_STALLED)

    def hold(self, seq: int, answers: list[tuple[Pending, Result]]) -> None:
        """Give these answers when the journal has ``seq``, or OutcomeUnknown when their time is up."""
        if seq <= self._passed:
            _give(answers)
            return
        self._held.append(Held(seq, answers))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())

    def learn(self, epoch: int, trimmed: int) -> None:
        """The watermark as a reply or a look tells it."""
        if epoch < self._epoch:
            return  # a look that was answered before the epoch began, and came behind the first reply
        if epoch > self._epoch:
            self.give_up(OutcomeUnknown("the ledger began a new epoch before the journal had it"))
            self._epoch, self._passed, self.stalled = epoch, trimmed, False
            return
        if trimmed <= self._passed:
            return
        self._passed, self.stalled = trimmed, False
        while self._held and self._held[0].seq <= trimmed:
            _give(self._held.popleft().answers)

    def give_up(self, problem: LedgerError) -> None:
        """Answer all who wait: the ledger is not the one any more that they were applied by."""
        while self._held:
            fail([pending for pending, _ in self._held.popleft().answers], problem)

    async def close(self) -> None:
        """Wait until nobody waits; their deadlines bound it."""
        while self._held and self._task is not None:
            await asyncio.wait([self._task], timeout=LOOK_S)
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while self._held or self.stalled:
            await asyncio.sleep(LOOK_S if self._held else STALLED_LOOK_S)
            # The batcher reports an absent ledger; here the waiting ends by time.
            with contextlib.suppress(LedgerError, TimeoutError):
                async with asyncio.timeout(LOOK_TIMEOUT_S):
                    self.learn(*await self._look())
            if self._held and loop.time() >= self._expire_at:
                self._expire_at = loop.time() + EXPIRE_S
                self._expire(loop.time())

    def _expire(self, now: float) -> None:
        for held in self._held:
            late = [pending for pending, _ in held.answers if pending.deadline <= now]
            if late:
                self.stalled = True
                fail(late, OutcomeUnknown(_TOO_LATE))
                held.answers = [(pending, result) for pending, result in held.answers if pending.deadline > now]
        while self._held and not self._held[0].answers:
            self._held.popleft()


def _give(answers: list[tuple[Pending, Result]]) -> None:
    for pending, result in answers:
        if not pending.future.done():
            pending.future.set_result(result)
