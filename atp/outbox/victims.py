"""Victims: goes through the reservations of a position that fell short, page by page (R28).

The ledger knows only that a position is short; who is promised its units is asked of the journal, which has every
reservation up to the shortage's own entry by the time that entry was drained. Each page is a command that checks its
reservations as they are and remembers how far they were gone through, so whoever works here may be killed at any line:
the next one asks the ledger for what is open and goes on.
"""

import asyncio

import structlog

from atp.domain.commands import Affect
from atp.domain.outcomes import Outcome
from atp.domain.state import Shortage
from atp.journal import Claim, Journal, JournalError
from atp.ledger import Ledger, LedgerError
from atp.outbox.handover import Handover
from atp.outbox.settings import Settings
from atp.waiting import Attempts, stopped_within

log = structlog.get_logger("atp.outbox")


class Victims:
    """Works while the drainer beside it holds the partition."""

    def __init__(
        self, ledger: Ledger, journal: Journal, partition: int, handover: Handover, settings: Settings
    ) -> None:
        self._ledger = ledger
        self._journal = journal
        self._partition = partition
        self._handover = handover
        self._settings = settings

    async def run(self, stop: asyncio.Event) -> None:
        """Go through shortages until ``stop``; whatever is away is waited for."""
        bound = log.bind(loop="shortages", partition=self._partition)
        attempts = Attempts(bound, self._settings.retry_s, self._settings.retry_max_s)
        while not stop.is_set():
            try:
                count = await self.run_once(stop)
            except (JournalError, LedgerError) as error:
                await stopped_within(stop, attempts.failed(error))
                continue
            attempts.succeeded()
            if count == 0:
                await stopped_within(stop, self._settings.short_every_s)

    async def run_once(self, stop: asyncio.Event) -> int:
        """Go through the positions known to be short; how many there were."""
        claim, short = self._handover.claim, self._handover.short
        if claim is None:
            return 0
        if self._handover.unseen:
            self._handover.unseen = False  # before: what turns out to be journaled meanwhile is asked for anew
            try:
                short.update(dict.fromkeys(await self._ledger.open_shortages(self._partition)))
            except LedgerError:
                self._handover.unseen = True
                raise
        count = 0
        while short and not stop.is_set() and self._handover.claim is claim:
            place = next(iter(short))
            del short[place]  # before: while it is gone through it may fall shorter, and be noted anew
            try:
                await self._go_through(*place, claim, stop)
            except (JournalError, LedgerError):
                short[place] = None
                raise
            count += 1
        return count

    async def _go_through(self, sku: str, location: str, claim: Claim, stop: asyncio.Event) -> None:
        while not stop.is_set() and self._handover.claim is claim:
            open = await self._ledger.shortage(self._partition, sku, location)
            # One that was found after what the journal has comes by when its entry is drained.
            if open is None or open.done or open.seq > self._handover.journaled:
                return
            await self._send_pages(sku, location, open, stop)

    async def _send_pages(self, sku: str, location: str, open: Shortage, stop: asyncio.Event) -> None:
        """One reading of the journal, as pages; ends when a page says that more make no sense."""
        limit = self._settings.short_read
        listed = await self._journal.promised(
            self._partition, sku, location, open.seq, open.cursor, newest=open.victims == "newest", limit=limit
        )
        size, after = self._settings.short_page, open.cursor
        for start in range(0, max(1, len(listed)), size):
            page = listed[start : start + size]
            last = len(listed) < limit and start + size >= len(listed)
            through = page[-1][1] if page else after
            ids = [id for id, _ in page]
            if stop.is_set():
                return
            result = await self._ledger.submit(Affect(sku, location, open.seq, after, through, ids, last))
            if result.outcome is not Outcome.APPLIED or result.detail:
                log.info(
                    "shortage gone through", partition=self._partition, seq=open.seq,
                    outcome=result.outcome.name, detail=result.detail,
                )  # fmt: skip
                return
            after = through
