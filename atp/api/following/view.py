"""View: this process's copy of availability, filled by what is asked for and kept right by the ledger's outbox.

A number is answered from here when everything is known to be unchanged: entries of other processes up to a quarter of
a second ago, those of this process all, and those up to any position that the caller names. Else the outbox is looked
at once more, and the ledger is asked for what changed, once for all who wait. What only time changes (a source's mark,
a day that begins) is read again after seconds.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from atp.api.following.tail import Tail
from atp.domain.ids import partition_of
from atp.domain.records import Asked, SkuStock
from atp.ledger import Ledger
from atp.telemetry import VIEW_READS, VIEW_RESETS

#: A look at the outbox that is older says nothing of now.
FRESH_S = 0.25

#: How long a reading is used that nothing changed since; and one that the calendar or a campaign's window can change.
AGE_S, DATED_AGE_S = 15.0, 1.0

#: Skus asked of the ledger at once: what else this process reads waits behind them.
CHUNK = 64

#: Positions kept, of all skus: some 30 MB.
WEIGHT_MAX = 60_000

#: Questions kept as bytes, and the longest of them: with the answers that are ready some 25 MB.
QUESTIONS_MAX, QUESTION_MAX = 10_000, 512


class NotReached(Exception):
    """The ledger is not at the position that the caller names."""


class Shown:
    """One reading of a sku for what was ``asked``, and what is kept beside it: what it looks like (``rendered``), a
    ``prepared`` answer, and the bytes of the ``question`` that it answers."""

    __slots__ = (
        "asked",
        "lasts_s",
        "partition",
        "prepared",
        "question",
        "read_at",
        "read_ms",
        "rendered",
        "stock",
        "weight",
    )  # fmt: skip

    def __init__(self, stock: SkuStock, asked: Asked, partition: int, at: float, at_ms: int) -> None:
        self.stock = stock
        self.asked = asked
        self.partition = partition
        self.read_at, self.read_ms = at, at_ms
        self.lasts_s = DATED_AGE_S if stock.atp or asked.campaign else AGE_S
        self.weight = 1 + len(stock.locations)
        self.rendered: Any = None
        self.prepared: Any = None
        self.question = b""


class View:
    """Numbers by sku and question. Everything raises LedgerError while the ledger is away and nothing is known."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.tail = Tail(ledger, self._changed)
        self._kept: dict[str, dict[Asked, Shown]] = {}  # those read longest ago first
        self._weight = 0
        self._questions: dict[bytes, Shown] = {}  # none but of those that are kept
        self._wanted: dict[tuple[str, Asked], asyncio.Future[Shown]] = {}
        self._filling: asyncio.Task[None] | None = None
        self._newer: dict[str, int] = {}  # skus that changed while the ledger is being asked, and where
        self._resets = 0

    async def read(self, skus: Sequence[str], asked: Asked, need: Mapping[int, int] | None = None) -> list[Shown]:
        """One reading of each sku, with all that this process has seen, and with ``need`` (seqs by partition)."""
        self.tail.use()
        if need:
            await self.reach(need)
        elif not self._fresh(time.monotonic()) or not self._current(skus):
            await self.tail.catch_up()
        now, ready = time.monotonic(), self.tail.ready
        found = self._usable(skus, asked, now) if ready else [None] * len(skus)
        missing = [sku for sku, shown in zip(skus, found, strict=True) if shown is None]
        VIEW_READS.inc("view", by=len(skus) - len(missing))
        if not missing:
            return [shown for shown in found if shown is not None]
        VIEW_READS.inc("ledger", by=len(missing))
        filled = iter(await self._fill(missing, asked))
        return [shown or next(filled) for shown in found]

    def known(self, sku: str, asked: Asked) -> Shown | None:
        """What ``read`` would say without asking anybody, as it mostly can; else None."""
        of_sku = self._kept.get(sku)
        shown = of_sku.get(asked) if of_sku else None
        if shown is None or not self.holds(shown):
            return None
        VIEW_READS.inc("view")
        return shown

    def answered(self, question: bytes) -> Shown | None:
        """The reading that the same bytes were answered with, if it is kept. It is to be used only if it ``holds``."""
        return self._questions.get(question)

    def holds(self, shown: Shown) -> bool:
        """Whether one that is kept is known to hold without asking anybody."""
        tail, now, partition = self.tail, time.monotonic(), shown.partition
        tail.use(now)
        return (
            self._fresh(now)
            and self._ledger.position(partition) <= tail.through[partition]
            and now - shown.read_at <= shown.lasts_s
        )

    def remember(self, question: bytes, shown: Shown) -> None:
        """These bytes were answered with this reading: from now on they find it while it is kept."""
        if self._kept.get(shown.stock.sku, {}).get(shown.asked) is not shown or shown.question == question:
            return
        if len(question) > QUESTION_MAX:
            return
        self._forget(shown)  # the same may be asked in many ways: one is remembered
        if len(self._questions) >= QUESTIONS_MAX:
            self._forget(next(iter(self._questions.values())))
        shown.question = question
        self._questions[question] = shown

    def last(self, skus: Sequence[str], asked: Asked) -> list[Shown] | None:
        """What was known last, should the ledger be away; None unless it is known of all."""
        found = [self._kept.get(sku, {}).get(asked) for sku in skus]
        return [shown for shown in found if shown is not None] if all(found) else None

    def as_of(self, shown: Shown) -> int:
        """Up to when (ms) it is known that ``shown`` holds."""
        return max(shown.read_ms, self.tail.checked_ms)

    async def reach(self, need: Mapping[int, int], timeout_s: float = 1.0) -> None:
        """Wait until the entries of ``need`` are seen here. Raises NotReached, LedgerError."""
        try:
            async with asyncio.timeout(timeout_s):
                await self.tail.catch_up()
                while any(self.tail.through[partition] < seq for partition, seq in need.items()):
                    await asyncio.sleep(0.01)
                    await self.tail.catch_up()
        except TimeoutError:
            raise NotReached from None

    async def close(self) -> None:
        """Let go of everything."""
        await self.tail.close()
        if self._filling is not None:
            await asyncio.gather(self._filling, return_exceptions=True)

    def _fresh(self, now: float) -> bool:
        """Whether the last look at the outbox says something of now."""
        return self.tail.ready and now - self.tail.checked_at < FRESH_S

    def _current(self, skus: Iterable[str]) -> bool:
        """Whether the tail has seen all that this process knows of; a look that is under way is waited for."""
        through, position = self.tail.through, self._ledger.position
        if len(through) == 1:
            return position(0) <= through[0]
        return all(position(p) <= through[p] for p in {partition_of(sku, len(through)) for sku in skus})

    def _usable(self, skus: Sequence[str], asked: Asked, now: float) -> list[Shown | None]:
        kept = self._kept
        return [
            shown
            if (of_sku := kept.get(sku)) and (shown := of_sku.get(asked)) and now - shown.read_at <= shown.lasts_s
            else None
            for sku in skus
        ]

    async def _fill(self, skus: Sequence[str], asked: Asked) -> list[Shown]:
        loop, waiting = asyncio.get_running_loop(), []
        for sku in skus:
            future = self._wanted.get((sku, asked))
            if future is None:
                future = self._wanted[sku, asked] = loop.create_future()
                future.add_done_callback(_seen)
            waiting.append(future)
        if self._filling is None or self._filling.done():
            self._filling = asyncio.create_task(self._fill_all())
        # Shielded, for others wait for the same; in turn, for most are there when the first of a chunk is.
        return [await asyncio.shield(future) for future in waiting]

    async def _fill_all(self) -> None:
        while self._wanted:
            first = next(iter(self._wanted))[1]
            keys = list(islice((key for key in self._wanted if key[1] == first), CHUNK))
            batch = {key: self._wanted.pop(key) for key in keys}
            try:
                found = await self._ask([sku for sku, _ in keys], first)
            except Exception as problem:
                for future in batch.values():
                    future.set_exception(type(problem)(*problem.args))
                continue
            for future, shown in zip(batch.values(), found, strict=True):
                future.set_result(shown)

    async def _ask(self, skus: list[str], asked: Asked) -> list[Shown]:
        self._newer, resets, following = {}, self._resets, self.tail.ready
        at, at_ms, partitions = time.monotonic(), time.time_ns() // 1_000_000, self._ledger.partitions
        stocks = await self._ledger.availability(skus, asked)
        found = []
        for stock in stocks:
            partition = partition_of(stock.sku, partitions)
            shown = Shown(stock, asked, partition, at, at_ms)
            if following and resets == self._resets and self._newer.get(stock.sku, 0) <= stock.seq:
                self._keep(asked, shown)
            found.append(shown)
        return found

    def _keep(self, asked: Asked, shown: Shown) -> None:
        sku = shown.stock.sku
        of_sku = self._kept.pop(sku, {})  # to the end
        if before := of_sku.get(asked):
            self._weight -= before.weight
            self._forget(before)
        of_sku[asked] = shown
        self._kept[sku] = of_sku
        self._weight += shown.weight
        while self._weight > WEIGHT_MAX:
            self._drop(next(iter(self._kept)))

    def _drop(self, sku: str) -> None:
        for shown in self._kept.pop(sku, {}).values():
            self._weight -= shown.weight
            self._forget(shown)

    def _forget(self, shown: Shown) -> None:
        """No bytes find it any more."""
        if shown.question:
            del self._questions[shown.question]
            shown.question, shown.prepared = b"", None

    def _changed(self, partition: int, skus: set[str] | None, seq: int) -> None:
        """An entry of ``partition``: what was read before it is worth nothing any more."""
        if skus is None:
            self._resets += 1
            VIEW_RESETS.inc()
            for sku in [s for s, of_sku in self._kept.items() if next(iter(of_sku.values())).partition == partition]:
                self._drop(sku)
            return
        for sku in skus:
            self._newer[sku] = seq
            of_sku = self._kept.get(sku)
            if of_sku and any(shown.stock.seq < seq for shown in of_sku.values()):
                self._drop(sku)


def _seen(done: asyncio.Future[Shown]) -> None:
    """Whoever waited may have gone, or met another failure first: this one is nobody's then."""
    if not done.cancelled():
        done.exception()
