"""What the drainer of a partition lends the workers beside it: its claim, and what it has just journaled."""

import asyncio
from collections import deque
from itertools import islice

from atp.domain.entries import AnyEntry, ShortageFound
from atp.journal import Claim


class Handover:
    """Saves the others a look into the journal for what passed through this process a moment ago."""

    def __init__(self, entries_max: int) -> None:
        self.claim: Claim | None = None  # None: another process may be the writer, nothing may be published
        self.journaled = 0
        self.short: dict[tuple[str, str], None] = {}  # positions to be gone through (victims.py)
        self.unseen = True  # entries were journaled that were not offered here; positions may be short in them
        self._entries_max = entries_max
        self._entries: deque[AnyEntry] = deque()
        self._before = 0  # the seq that the first kept entry follows
        self._news = asyncio.Event()

    def begin(self, claim: Claim) -> None:
        """The partition is ours."""
        self.claim = claim
        self.unseen = True
        self.arrive_at(claim.seq)

    def end(self) -> None:
        """The partition is, or may be, somebody else's."""
        self.claim = None

    def arrive_at(self, seq: int) -> None:
        """The journal turned out to be at ``seq``; what was kept may not reach up to there."""
        if seq != self.journaled:
            self._entries.clear()
            self._before = self.journaled = seq
            self.unseen = True
        self._news.set()

    def offer(self, entries: list[AnyEntry]) -> None:
        """These entries were journaled just now, directly behind the ones before."""
        self._entries.extend(entries)
        self.journaled = entries[-1].seq
        self.short.update({(e.sku, e.location): None for e in entries if isinstance(e, ShortageFound)})
        while len(self._entries) > self._entries_max:  # the publisher is far behind; let it read the journal
            self._before = self._entries.popleft().seq
        self._news.set()

    def take(self, after: int, limit: int) -> list[AnyEntry] | None:
        """The next entries behind ``after``, or None when those are not kept here."""
        while self._entries and self._entries[0].seq <= after:
            self._before = self._entries.popleft().seq
        if after < self._before:
            return None
        return list(islice(self._entries, limit))

    async def news(self, timeout_s: float) -> None:
        """Wait until something was journaled, or ``timeout_s`` went by."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._news.wait()
        except TimeoutError:
            return
        self._news.clear()
