"""Partition: what a check reads of one partition, at its pace."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

from atp.check.pace import Pace
from atp.check.settings import Settings
from atp.domain.ids import partition_of
from atp.domain.records import Balance, Reservation
from atp.journal import Journal
from atp.ledger import Ledger, Page

#: Between two looks at how far the journal is.
_JOURNAL_LOOK_S = 0.02


#: Stands for the balance of a position that never changed.
NEVER = Balance("", "", 0, 0, 0, 0, 0)


#: Slots of ``meta`` that count something, and how to count it.
COUNTED = ("shortages", "exceptions", "baskets", "awaited")
_COUNT = (("HLEN", "shortage"), ("HLEN", "exception"), ("HLEN", "baskets"), ("ZCARD", "awaited"))


class JournalBehind(Exception):
    """The journal does not come as far as what was looked at."""


class Stopped(Exception):
    """Told to stop, or somebody else goes on with the run."""


class Partition:
    """Reads of one partition; each may raise LedgerError, JournalError, and Stopped when ``stopping`` says so."""

    def __init__(
        self,
        ledger: Ledger,
        journal: Journal,
        number: int,
        pace: Pace,
        settings: Settings,
        stopping: Callable[[], bool] = lambda: False,
        cause: str = "",
    ) -> None:
        self.ledger, self.journal, self.number, self.settings = ledger, journal, number, settings
        self.partitions, self.cause = ledger.partitions, cause
        self._pace, self._stopping = pace, stopping
        self._journaled = 0
        self._missing: int | None = None
        self.unsettled: set[tuple[str, ...]] = set()  # ids, and positions, that changed each time they were looked at

    def here(self, sku: str) -> bool:
        """Whether the sku lives in this partition."""
        return self.partitions == 1 or partition_of(sku, self.partitions) == self.number

    def is_unsettled(self, about: tuple[str, str, str, str]) -> bool:
        """Whether nothing can be said of what an exception is about."""
        sku, location, _, reservation = about
        return ((reservation,) if reservation else (sku, location)) in self.unsettled

    async def head(self) -> int:
        """The last seq there is."""
        return (await self.ledger.looks.at(self.number)).seq

    async def look(self, asked: Sequence[tuple[str, ...]]) -> tuple[int, list[Any]]:
        """Plain reads as of one seq; one without arguments is answered with nothing, unasked."""
        wanted = [words for words in asked if len(words) > 2]
        look = await self._take(self.ledger.looks.at(self.number, *wanted))
        answers = iter(look.answers)
        return look.seq, [next(answers) if words in wanted else [] for words in asked]

    async def page(self, key: str, cursor: str, *, scores: bool = False) -> Page:
        """A page of a key."""
        return await self._take(
            self.ledger.looks.page(self.number, key, cursor, scores=scores, count=self.settings.page)
        )

    async def pages(self, key: str) -> AsyncIterator[tuple[int, bytes, bytes]]:
        """Everything in a hash: the seq it was read at, field, value."""
        cursor = ""
        while cursor != "0":
            page = await self.page(key, cursor or "0")
            cursor = page.cursor
            for name, value in page.items:
                yield page.seq, name, value

    async def wrong_sums(self, skus: Sequence[str]) -> list[str]:
        """Those of the skus whose sums differ from their positions."""
        return await self._take(self.ledger.looks.wrong_sums(self.number, skus)) if skus else []

    async def is_old(self, seq: int) -> bool:
        """Whether the journal may not have heard what came behind ``seq``: it lost entries since, and the ledger is
        right (R20)."""
        if self._missing is None:
            self._missing = await self.journal.checking.missing(self.number)
        return seq < self._missing

    async def counts(self) -> dict[str, tuple[int, int]]:
        """Of everything that the partition counts: what it says, and how many there are, as of one seq."""
        told, *there = (
            await self._take(self.ledger.looks.at(self.number, ("HMGET", "meta", *COUNTED), *_COUNT))
        ).answers
        return {name: (int(n or 0), m) for name, n, m in zip(COUNTED, told, there, strict=True)}

    async def at_home(self, home: int, ids: Sequence[str]) -> list[tuple[bytes | None, bytes | None]]:
        """Baskets' records in the partition of their first sku, and the seqs that not all of their legs may have."""
        asked = ("HMGET", "res", *(id[3:] for id in ids)), ("HMGET", "following", *ids)
        records, following = (await self._take(self.ledger.looks.at(home, *asked))).answers
        return list(zip(records, following, strict=True))

    async def ended_since(self, sku: str, first: int, through: int) -> AsyncIterator[Reservation]:
        """Reservations of a sku that the journal has as ended: made after one seq, and ended up to another."""
        after = first
        while True:
            found = await self._take(self.journal.checking.ended(self.number, sku, after, through))
            for record in found:
                yield record
                after = record.first_seq
            if not found:
                return

    async def _take[T](self, call: Awaitable[T]) -> T:
        answer = await self._pace.take(call)
        if self._stopping():
            raise Stopped
        return answer

    async def journaled(self, seq: int) -> None:
        """Wait until the journal has everything up to ``seq``. Raises JournalBehind."""
        deadline = time.monotonic() + self.settings.lag_max_s
        while self._journaled < seq:
            watermark = await self.journal.watermark(self.number)
            self._journaled = watermark.seq if watermark else 0
            if self._journaled >= seq:
                return
            if time.monotonic() > deadline:
                raise JournalBehind(
                    f"the journal of partition {self.number} is at {self._journaled}, and did not reach {seq} within "
                    f"{self.settings.lag_max_s:.0f} s: is `atp drain` running?"
                )
            if self._stopping():
                raise Stopped
            await asyncio.sleep(_JOURNAL_LOOK_S)

    async def balances(self, places: Sequence[tuple[str, str]], seq: int) -> dict[tuple[str, str], Balance | None]:
        """Balances as the journal has them as of a seq that the ledger was looked at."""
        await self.journaled(seq)
        return await self.journal.checking.balances(self.number, places, seq)
