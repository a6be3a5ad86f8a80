"""Watch: every process looks whether the ledger is the one that is known; one of them makes a lost one anew (R2)."""

import asyncio
import contextlib
import secrets
import time

import structlog

from atp.journal import Journal, JournalError
from atp.ledger import Ledger, LedgerError
from atp.ledger.storing import Superseded
from atp.rebuild.accepting import accept
from atp.rebuild.leasing import leased
from atp.rebuild.loading import JournalCut
from atp.rebuild.rebuilder import Rebuilder
from atp.rebuild.settings import Settings
from atp.rebuild.witnesses import LastTold
from atp.waiting import stopped_within

log = structlog.get_logger("atp.rebuild")


class Watch:
    """One process's eye on all partitions."""

    def __init__(self, ledger: Ledger, journal: Journal, told: LastTold, settings: Settings | None = None) -> None:
        self._ledger = ledger
        self._journal = journal
        self._told = told
        self._settings = settings or Settings()
        self._owner = secrets.token_hex(8)
        self._wanted: dict[int, bool] = {}  # partitions to be made anew by hand → whether a loss is accepted
        self._journal_at = 0.0
        self._failing = ""

    def ask(self, *, accept_loss: bool) -> None:
        """Make every partition anew, although it may be well."""
        self._wanted = dict.fromkeys(range(self._ledger.partitions), accept_loss)

    async def accept(self, client: str, reason: str) -> list[int]:
        """End the open losses, so that reserve is open again; the partitions that had one. Raises LedgerError."""
        return await accept(self._ledger, client, reason)

    async def run(self, stop: asyncio.Event) -> None:
        """Watch until ``stop``; whatever is away is waited for."""
        while not await stopped_within(stop, self._settings.watch_s):
            try:
                await self._look_until(stop)
                self._failing = ""
            except Superseded as problem:
                log.info("another process rebuilds", detail=str(problem))
            except (LedgerError, JournalError) as problem:
                if str(problem) != self._failing:
                    log.warning("watching the ledger", error=type(problem).__name__, detail=str(problem))
                self._failing = str(problem)
                await stopped_within(stop, self._settings.retry_s)
            except Exception:
                log.exception("a rebuild failed by an error of its own")  # serving goes on; a person must look
                await stopped_within(stop, 10 * self._settings.retry_s)

    async def _look_until(self, stop: asyncio.Event) -> None:
        """A process that is told to end leaves a rebuild to another one."""
        looking, stopping = asyncio.create_task(self._look()), asyncio.create_task(stop.wait())
        try:
            await asyncio.wait((looking, stopping), return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            if not looking.done():
                looking.cancel()
                await asyncio.gather(looking, return_exceptions=True)
        if not looking.cancelled():
            await looking

    async def _look(self) -> None:
        if time.monotonic() > self._journal_at:
            self._journal_at = time.monotonic() + self._settings.journal_every_s
            # A ledger behind the journal refuses the next batch, and by that its process learns of it.
            with contextlib.suppress(JournalError):
                self._ledger.witness(await self._journal.heads())
        for partition in [*self._wanted, *self._ledger.recovering]:
            await self._rebuild(partition)

    async def _rebuild(self, partition: int) -> None:
        async with leased(self._ledger, partition, self._owner, self._settings.lease_ms) as mine:
            if not mine:
                return
            asked = self._wanted.pop(partition, None)
            rebuilder = Rebuilder(self._ledger, self._journal, partition, self._told, self._settings)
            try:
                await rebuilder.run(by_hand=asked is not None, accept_loss=bool(asked))
            except (LedgerError, JournalError) as problem:
                if asked is not None and not isinstance(problem, Superseded | JournalCut):
                    self._wanted.setdefault(partition, asked)  # who asked was told that it will be done
                raise
