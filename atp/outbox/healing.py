"""Healing a journal restored to an older state: a whole state of the ledger stands in for lost entries (R20)."""

from atp.domain.entries import AnyEntry, EntriesMissing
from atp.journal import Journal
from atp.ledger import Ledger
from atp.ledger.packing import Packer
from atp.ledger.restoring import Restoring

#: Of a baseline's page, before it is compressed.
PAGE_BYTES = 1_000_000


async def live_baseline(ledger: Ledger, journal: Journal, partition: int) -> int:
    """Make a baseline of the living ledger; its seq, or 0 if another process makes one.

    The ledger copies its records in one step and answers nobody meanwhile: about a second per million of them, and for
    the time of the reading it needs twice the memory. Raises LedgerUnavailable, LedgerRecovering, JournalUnavailable.
    """
    async with journal.baselines.making(partition) as mine:
        if not mine:
            return 0
        steps = Restoring(ledger.settings.url, ledger.settings.namespace, partition)
        try:
            epoch, seq, now = await steps.freeze()
            await journal.baselines.begin(partition, seq, epoch, now, live=True)
            packer, count = Packer(PAGE_BYTES), 0
            async for page in steps.frozen():
                for body in packer.add(page):
                    await journal.baselines.write(partition, seq, count, body)
                    count += 1
            for body in packer.rest():
                await journal.baselines.write(partition, seq, count, body)
            await journal.baselines.finish(partition, seq)
        finally:
            try:
                await steps.thaw()  # also where it failed: the next attempt may be far away
            finally:
                await steps.close()
        return seq


def missing(after: int, first: AnyEntry) -> EntriesMissing:
    """What stands in the journal for the entries between ``after`` and the ``first`` that is there."""
    return EntriesMissing(first.seq - 1, first.at, "", "", after)
