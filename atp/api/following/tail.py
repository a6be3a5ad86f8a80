"""Tail: which skus changed in the ledger, read from its outbox a moment later; needs neither journal nor NATS.

It says through which entry of each partition it is complete. A partition that begins an epoch, or whose outbox was
trimmed before it was read here, counts as changed in everything.
"""

import asyncio
import time
from collections.abc import Callable

import structlog

from atp.domain.touched import shown_otherwise
from atp.ledger import Ledger, LedgerError, LedgerRecovering, LedgerUnavailable
from atp.ledger.wire import Head
from atp.telemetry import VIEW_AGE

log = structlog.get_logger("atp.api")

#: Between two looks while numbers are being read here, and while nobody asked for a second.
EVERY_S, QUIET_EVERY_S, QUIET_AFTER_S = 0.025, 0.1, 1.0

#: Nobody asked for so long: nothing is followed until somebody does.
IDLE_S = 30.0

#: Entries behind which following costs more than reading again what is asked for.
FAR = 5_000

_PAGE = 2_048

#: (partition, skus or None for all of it, seq)
Changed = Callable[[int, set[str] | None, int], None]


class Tail:
    """Follows while it is used; ``changed`` is told of every entry before ``through`` says that it was seen."""

    def __init__(self, ledger: Ledger, changed: Changed) -> None:
        self._ledger = ledger
        self._changed = changed
        self.ready = False
        self.through = [0] * ledger.partitions
        self.checked_at = float("-inf")  # when the look that ``through`` comes from began, by the monotonic clock
        self.checked_ms = 0  # the same by this process's clock
        self._epochs = [0] * ledger.partitions
        self._every_s = min(QUIET_EVERY_S, EVERY_S * max(1, ledger.partitions // 4))  # each of them is asked
        self._used_at = 0.0
        self._task: asyncio.Task[None] | None = None
        self._nudge = asyncio.Event()
        self._next: asyncio.Future[None] | None = None  # of those who wait for a look that begins from now on
        VIEW_AGE.set_function(lambda: time.monotonic() - self.checked_at if self.ready else 0.0)

    def use(self, now: float = 0.0) -> None:
        """Somebody reads: follow from now on."""
        self._used_at = now or time.monotonic()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())

    async def catch_up(self) -> None:
        """Look once more: what any process had done before this call is then seen. Raises LedgerError."""
        self.use()
        if self._next is None:
            self._next = asyncio.get_running_loop().create_future()
            self._next.add_done_callback(_seen)
        self._nudge.set()
        await asyncio.shield(self._next)

    async def close(self) -> None:
        """Follow no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._next is not None:
            self._next.cancel()

    async def _run(self) -> None:
        while (idle_s := time.monotonic() - self._used_at) < IDLE_S:
            self._nudge.clear()
            waiting, self._next = self._next, None
            try:
                await self._look()
            except Exception as error:
                self._fail(error, waiting)
            else:
                if waiting:
                    waiting.set_result(None)
            await self._pause(self._every_s if idle_s < QUIET_AFTER_S else QUIET_EVERY_S)
        self._forget()

    def _fail(self, error: Exception, waiting: asyncio.Future[None] | None) -> None:
        if isinstance(error, LedgerRecovering):
            self._forget()
        elif not isinstance(error, LedgerError):
            log.error("the ledger's outbox could not be followed", exc_info=error)
            error = LedgerUnavailable("the ledger's outbox could not be followed")
        if waiting:
            waiting.set_exception(error)

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._nudge.wait()
        except TimeoutError:
            return

    async def _look(self) -> None:
        at, at_ms = time.monotonic(), time.time_ns() // 1_000_000
        for partition, head in enumerate(await self._ledger.heads()):
            await self._follow(partition, head)
        self.ready, self.checked_at, self.checked_ms = True, at, at_ms

    async def _follow(self, partition: int, head: Head) -> None:
        behind = head.seq - self.through[partition]
        if not self.ready or head.epoch != self._epochs[partition] or not 0 <= behind <= FAR:
            self._jump(partition, head)
        while self.through[partition] < head.seq:
            after = self.through[partition]
            entries = await self._ledger.read_entries(partition, after, _PAGE, confirmed=False)
            if not entries or entries[0].seq != after + 1:  # the journal was faster, and the outbox is trimmed
                self._jump(partition, head)
                return
            for entry in entries:
                self._changed(partition, shown_otherwise(entry), entry.seq)
            self.through[partition] = entries[-1].seq

    def _jump(self, partition: int, head: Head) -> None:
        self._changed(partition, None, head.seq)
        self.through[partition], self._epochs[partition] = head.seq, head.epoch

    def _forget(self) -> None:
        self.ready = False
        for partition, seq in enumerate(self.through):
            self._changed(partition, None, seq)


def _seen(done: asyncio.Future[None]) -> None:
    """Whoever waited last may have gone, and its failure is nobody's then."""
    if not done.cancelled():
        done.exception()
