"""Making a baseline of the journal alone: the one before, and the entries behind it (R20)."""

from atp.domain.collecting import paused
from atp.journal import Journal
from atp.ledger.packing import Packer
from atp.ledger.records import encode
from atp.rebuild.loading import load
from atp.rebuild.progress import Progress, Show
from atp.rebuild.settings import Settings


async def make_baseline(journal: Journal, partition: int, settings: Settings, *shows: Show) -> int:
    """A new baseline at the journal's end; its seq, or 0 if there is nothing new or another process makes one.

    Takes about 0.4 KB of memory for each reservation and position, 1.4 KB for those that change. Raises JournalCut,
    JournalUnavailable.
    """
    progress = Progress(partition, list(shows), settings.show_every_s, "making a baseline")
    async with journal.baselines.making(partition) as mine:
        if not mine:
            return 0
        with paused():
            return await _make(journal, partition, settings, progress)


async def _make(journal: Journal, partition: int, settings: Settings, progress: Progress) -> int:
    loaded = await load(journal, partition, settings, progress)
    state = loaded.state
    if not loaded.entries:
        return 0
    await progress.phase("write")
    await journal.baselines.begin(partition, state.seq, state.epoch, state.last_now, live=False)
    packer, count = Packer(settings.page_bytes), 0
    for page in encode(state, partition):
        for body in packer.add(page):
            await journal.baselines.write(partition, state.seq, count, body)
            count += 1
    for body in packer.rest():
        await journal.baselines.write(partition, state.seq, count, body)
    await journal.baselines.finish(partition, state.seq)
    await progress.phase("")
    return state.seq
