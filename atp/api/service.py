"""Service: what the routes' plain functions work with. One per process."""

import asyncio
import time

from atp.api.identity import Clients
from atp.api.settings import ApiSettings
from atp.domain.commands import Command
from atp.domain.results import Result
from atp.journal import Journal
from atp.ledger import Ledger, OutcomeUnknown


class Service:
    """Ledger, journal (None while PostgreSQL is away), clients and settings, under one name."""

    def __init__(self, ledger: Ledger, journal: Journal | None, settings: ApiSettings) -> None:
        self.ledger = ledger
        self.journal = journal
        self.settings = settings
        self.clients = Clients(ledger, settings)

    async def decide(self, command: Command, deadline: float | None) -> Result:
        """The law's answer. Raises LedgerError; OutcomeUnknown also when ``deadline`` (seconds) passes first."""
        answer = self.ledger.submit(command)
        if deadline is None:
            return await answer
        try:
            async with asyncio.timeout(deadline):
                return await answer
        except TimeoutError:
            raise OutcomeUnknown("the caller's deadline passed") from None


def now_ms() -> int:
    """This process's clock in ms; only ever shown to callers, never decided by."""
    return time.time_ns() // 1_000_000
