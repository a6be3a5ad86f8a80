"""Which of our own commitments a source has booked: it names a position of the events we published (R39).

The journal knows which reservations that is, since an event is published after it was journaled. They are told to the
ledger in pages before the level that is net of them, as of its version; until the level counts nothing changes.
"""

import asyncio
import time
from collections.abc import Sequence

import structlog
from msgspec import structs

from atp.domain.commands import Command
from atp.domain.ids import partition_of
from atp.domain.order_commands import Include
from atp.ingest.counters import Counters
from atp.journal import Journal, JournalError
from atp.ledger import Ledger

#: Reservations of one command: a millisecond or two of the ledger's one thread.
PAGE = 128

#: How long a batch waits for the journal to reach a position that was learned of by another way than our events.
_PATIENCE_S = 0.5
_PAUSE_S = 0.02

log = structlog.get_logger("atp.ingest")


def is_open(command: Command) -> bool:
    """Whether the command names a position and nobody has asked yet which reservations that means."""
    return isinstance(command, Include) and not command.ids


class Booked:
    """Asks the journal. Without its answer nothing is included: units stay subtracted until the next level says so."""

    def __init__(self, ledger: Ledger, journal: Journal | None, counters: Counters) -> None:
        self._ledger = ledger
        self._journal = journal
        self._counters = counters

    async def named(self, commands: Sequence[Command]) -> list[Command]:
        """The commands with reservations by name instead of positions. Raises LedgerError."""
        found: list[Command] = []
        given_up = False
        for command in commands:
            if not isinstance(command, Include) or command.ids:
                found.append(command)
            elif not given_up:
                try:
                    found += await self._pages(command)
                except JournalError as error:
                    given_up = True
                    self._counters.unresolved += 1
                    log.warning("the journal cannot say what a source has booked", error=repr(error))
        return found

    async def _pages(self, asked: Include) -> list[Command]:
        if self._journal is None:
            raise JournalError("this process has no journal")
        partition = partition_of(asked.sku, self._ledger.partitions)
        await self._reached(partition, asked.through)
        pages: list[Command] = []
        after = 0
        while True:
            page = await self._journal.booked(
                partition, asked.sku, asked.location, asked.source, asked.through, after=after, limit=PAGE
            )
            if page:
                pages.append(structs.replace(asked, ids=[id for id, _ in page]))
                after = page[-1][1]
            if len(page) < PAGE:
                return pages

    async def _reached(self, partition: int, through: int) -> None:
        """Wait a moment for the journal to have all up to the position, or all there is."""
        assert self._journal is not None
        until, head = time.monotonic() + _PATIENCE_S, 0
        while (await self._journal.heads()).get(partition, 0) < (min(through, head) if head else through):
            if time.monotonic() > until:
                log.warning("the journal is behind what a source has booked", partition=partition, through=through)
                return
            head = head or (await self._ledger.heads())[partition].seq
            await asyncio.sleep(_PAUSE_S)
