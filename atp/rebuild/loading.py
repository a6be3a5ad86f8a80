"""Loading: the state that a partition had after the journal's last entry, from the newest baseline on (R20)."""

import asyncio

from msgspec import Struct

from atp.domain.collecting import paused
from atp.domain.entries import AnyEntry, EntriesMissing, LedgerOpened
from atp.domain.replay import replay, settle
from atp.domain.state import State
from atp.journal import Baseline, Journal, JournalError
from atp.ledger.packing import unpack
from atp.ledger.records import LazyDecoding
from atp.rebuild.progress import Progress
from atp.rebuild.settings import Settings


class JournalCut(JournalError):
    """The journal does not go back to where the rebuild would have to begin; the message says what there is."""


class Loaded(Struct):
    """A state, and what it was made of."""

    state: State
    baseline: Baseline | None
    entries: int


async def load(journal: Journal, partition: int, settings: Settings, progress: Progress) -> Loaded:
    """The newest complete baseline with all entries behind it. Raises JournalCut, JournalUnavailable."""
    await progress.phase("baseline")
    baseline = await journal.baselines.newest(partition)
    state = State(seq=0) if baseline is None else await _restore(journal, baseline, progress)
    begin = state.seq
    last = (await journal.heads()).get(partition, 0)
    await progress.phase("entries", last - begin)
    count = 0
    coming = asyncio.ensure_future(journal.entries_after(partition, begin, settings.entries_max))
    try:
        while entries := await coming:
            # While these are applied, the server looks for the next.
            coming = asyncio.ensure_future(journal.entries_after(partition, entries[-1].seq, settings.entries_max))
            check_continues(state.seq, entries, baseline)
            for start in range(0, len(entries), 500):
                replay(state, entries[start : start + 500])
                await asyncio.sleep(0)  # others share this loop
            count += len(entries)
            await progress.step(state.seq - begin, last - begin)
    finally:
        coming.cancel()
    state.trimmed = state.seq
    settle(state, state.last_now)
    return Loaded(state, baseline, count)


async def load_state(journal: Journal, partition: int, settings: Settings) -> State:
    """The same for those to whom nobody listens meanwhile."""
    with paused():
        progress = Progress(partition, [], settings.show_every_s, "reading the journal")
        return (await load(journal, partition, settings, progress)).state


async def _restore(journal: Journal, baseline: Baseline, progress: Progress) -> State:
    decoding, count = LazyDecoding(), 0
    async for body in journal.baselines.pages(baseline):
        for page in unpack(body):
            decoding.take(page)
        count += 1
        await progress.step(count, 0)
    return decoding.finish()


async def check_possible(journal: Journal, partition: int) -> None:
    """Raise JournalCut if the journal does not go back far enough; asked before a ledger is ended."""
    baseline = await journal.baselines.newest(partition)
    begin = baseline.seq if baseline else 0
    if entries := await journal.entries_after(partition, begin, 1):
        check_continues(begin, entries, baseline)
    if missing := await journal.missing_after(partition, begin):
        check_continues(begin, [missing], baseline)


def check_continues(after: int, entries: list[AnyEntry], baseline: Baseline | None) -> None:
    """Raise JournalCut if ``entries`` cannot be applied to the state at ``after``."""
    first = entries[0]
    if isinstance(first, LedgerOpened) or first.seq == after + 1:
        gap = next((entry for entry in entries if isinstance(entry, EntriesMissing)), None)
        if gap is None:
            return
        first = gap
    start = f"the baseline at {baseline.seq}" if baseline else "no baseline"
    raise JournalCut(f"the journal misses entries before {first.seq}, and there is {start} to begin with")
