"""Retiring: takes old days off the journal, where its owner said how long they stay, and reservations that ended then.

One process does it, the one that drains the first partition; the database itself checks that neither a rebuild nor the
publisher needs what goes.
"""

import asyncio

import structlog

from atp.journal import Journal, JournalError, Pruned
from atp.outbox.handover import Handover
from atp.outbox.settings import Settings
from atp.waiting import stopped_within

log = structlog.get_logger("atp.outbox")


class Retiring:
    """Works while the drainer of the first partition holds it."""

    def __init__(self, journal: Journal, handover: Handover, settings: Settings) -> None:
        self._journal = journal
        self._handover = handover
        self._settings = settings

    async def run(self, stop: asyncio.Event) -> None:
        """Look once in a while until ``stop``; a day that cannot go now goes later."""
        while not stop.is_set():
            try:
                while not stop.is_set() and await self.run_once():
                    pass
                await self._prune(stop)
            except JournalError as error:
                log.info("an old day could not be taken off the journal yet", detail=str(error))
            await stopped_within(stop, self._settings.retire_every_s)

    async def _prune(self, stop: asyncio.Event) -> None:
        """Take away what the journal knew of reservations that ended before it begins, a page at a time."""
        looked: Pruned | None = None
        gone = 0
        while not stop.is_set() and self._handover.claim is not None:
            looked = await self._journal.prune_reservations(looked)
            if looked is None:
                break
            gone += looked.gone
            await stopped_within(stop, self._settings.prune_pause_s)
        if gone:
            log.info("old reservations left the journal", count=gone)

    async def run_once(self) -> str | None:
        """Take one day off; its name."""
        if self._handover.claim is None:
            return None
        name = await self._journal.retire_day()
        if name is not None:
            log.info("a day left the journal", table=name)
        return name
