"""Watcher of deliveries: finds those whose day is over, and has the law tell people of them, once (R10)."""

import asyncio
import secrets
import time

import structlog

from atp.domain.outcomes import Outcome
from atp.ingest.settings import Settings
from atp.ledger import Ledger, LedgerError
from atp.waiting import stopped_within

log = structlog.get_logger("atp.ingest")


class Watcher:
    """Any number may run; a lease keeps all but one from looking."""

    def __init__(self, ledger: Ledger, settings: Settings | None = None) -> None:
        self._ledger = ledger
        self._settings = settings or Settings()
        self._owner = secrets.token_hex(8)

    async def run(self, stop: asyncio.Event) -> None:
        """Look now and then until ``stop``; an absent ledger is waited for."""
        s = self._settings
        while not stop.is_set():
            try:
                if await self._ledger.lease("overdue", self._owner, round(1_500 * s.overdue_every_s)):
                    await self.run_once()
            except LedgerError as error:
                log.warning("deliveries are looked at later", error=repr(error))
            await stopped_within(stop, s.overdue_every_s)

    async def run_once(self) -> int:
        """Tell of all that are overdue by now; how many were news. Raises LedgerError."""
        found = 0
        async for page in self._ledger.supplies.overdue(round(time.time() * 1000)):
            results = await self._ledger.apply(page)
            found += sum(result.outcome is Outcome.APPLIED for result in results)
        return found
