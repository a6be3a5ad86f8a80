"""Publisher: tells the world, on NATS, what the journal has: in order, without a gap, repeats only under the same id.

The second of the outbox's two cursors (R19). It reads behind the journal, so NATS may be away for as long as the
journal keeps its days, and ``published`` moves only after NATS has acknowledged.
"""

import asyncio
import time

import nats.errors
import structlog
from nats.aio.client import Client as Nats

from atp.domain.entries import AnyEntry, LedgerOpened
from atp.domain.ids import partition_of
from atp.domain.records import SkuUnits
from atp.domain.touched import skus_of
from atp.journal import Claim, Fenced, Journal, JournalError
from atp.ledger import Ledger, LedgerError
from atp.outbox.announcer import Announcer
from atp.outbox.counters import Counters
from atp.outbox.handover import Handover
from atp.outbox.messages import Messages, fitting
from atp.outbox.reopening import told_beyond
from atp.outbox.sender import NatsAway, PublishRefused, Sender
from atp.outbox.settings import Settings
from atp.outbox.stream import StreamUnfit
from atp.waiting import Attempts, stopped_within

log = structlog.get_logger("atp.outbox")

#: Longest wait for news; the end of the process waits for it.
WAIT_S = 0.25

_NATS_AWAY = (NatsAway, PublishRefused, StreamUnfit, nats.errors.Error, OSError, TimeoutError)
_AWAY = (JournalError, LedgerError, *_NATS_AWAY)


class Publisher:
    """One partition's way from journal to NATS; works while its drainer holds the partition."""

    def __init__(
        self,
        nats: Nats,
        ledger: Ledger,
        journal: Journal,
        partition: int,
        handover: Handover,
        settings: Settings,
        counters: Counters,
    ) -> None:
        self._ledger = ledger
        self._journal = journal
        self._partition = partition
        self._handover = handover
        self._settings = settings
        self._counters = counters
        self._messages = Messages(settings.root, ledger.settings.namespace, partition)
        self._announcer = Announcer(settings, ledger.partitions)
        self._nats = nats
        self._sender = Sender(nats, settings, self._check_claim)
        self._claim: Claim | None = None
        self._published = 0
        self._moved = (0, 0)  # the cursors as the journal has them
        self._move_at = 0.0

    async def run(self, stop: asyncio.Event) -> None:
        """Publish until ``stop``; whatever is away is waited for."""
        bound = log.bind(loop="publishing", partition=self._partition)
        attempts = Attempts(bound, self._settings.retry_s, self._settings.retry_max_s)
        while not stop.is_set():
            try:
                count = await self.run_once()
            except _AWAY as error:
                self._doubt(error)
                await stopped_within(stop, attempts.failed(error))
                continue
            attempts.succeeded()
            self._counters.nats_reachable = True
            if count == 0:
                wait_s = self._settings.announce_every_s / 4 if self._announcer.owes else WAIT_S
                await self._handover.news(wait_s)
        await self._leave()

    async def run_once(self) -> int:
        """Publish the events of one batch of entries and the availability that is due; how many of both."""
        claim = self._handover.claim
        if claim is None:
            self._counters.publish_lag = 0  # for whoever publishes now
            return 0
        if claim is not self._claim:
            await self._resume(claim)
        count = await self._publish() + await self._announce()
        if time.monotonic() >= self._move_at:
            await self._move(claim)
        return count

    @property
    def announce_lag_s(self) -> float:
        """How long the sku waits for its availability event that waits longest; 0 where another process tells."""
        return self._announcer.lag_s if self._handover.claim else 0.0

    async def _resume(self, claim: Claim) -> None:
        """Begin where the publisher before stopped; what it published may still owe availability events."""
        self._claim = None
        self._sender.forget()
        self._announcer.clear()
        seq = claim.announced
        while seq < claim.published:
            entries = await self._journal.entries_after(self._partition, seq, self._settings.batch_max)
            if not entries:
                break
            await self._touch(seq, [entry for entry in entries if entry.seq <= claim.published])
            seq = entries[-1].seq
        self._published = claim.published
        self._moved = (claim.published, claim.announced)
        self._claim = claim

    async def _publish(self) -> int:
        self._note_lag()  # also before: sending may fail for as long as NATS is away
        entries = self._handover.take(self._published, self._settings.batch_max)
        if entries is None:
            entries = await self._journal.entries_after(self._partition, self._published, self._settings.batch_max)
        if entries:
            most = self._nats.max_payload
            messages = [fitting(message, most) for entry in entries if (message := self._messages.of_entry(entry))]
            await self._sender.send(messages)
            await self._touch(self._published, entries)
            self._published = entries[-1].seq
            self._counters.published += len(messages)
            self._counters.count_told(messages)
            self._counters.repeats = self._sender.repeats
        self._note_lag()
        return len(entries)

    async def _announce(self) -> int:
        skus = self._announcer.ready()
        if not skus:
            return 0
        before = self._ledger.read_us(self._partition)
        stocks = await self._ledger.units(self._partition, skus)
        self._announcer.read(len(skus), self._ledger.read_us(self._partition) - before)
        now_ms = time.time_ns() // 1_000_000
        news: list[SkuUnits] = []
        for stock in stocks:
            if stock.seq > self._announcer.shown(stock.sku):
                news.append(stock)
            else:
                self._announcer.drop(stock.sku)
        messages = [self._messages.of_availability(stock, now_ms) for stock in news]
        await self._sender.send(messages)
        self._counters.count_told(messages)
        for stock in news:
            self._announcer.sent(stock.sku, stock.seq)
        self._counters.announced += len(news)
        return len(news)

    async def _move(self, claim: Claim) -> None:
        """Remember in the journal what NATS has acknowledged. Raises Fenced.

        Not behind every batch: it is a transaction, and who begins at an older cursor repeats what NATS knows by id.
        """
        cursors = (self._published, self._announcer.settled_through(self._published))
        if cursors != self._moved:
            await self._journal.move_published(claim, *cursors)
            self._moved = cursors
            self._move_at = time.monotonic() + self._settings.move_every_s

    async def _leave(self) -> None:
        """What is remembered at the end need not be repeated, by then perhaps later than NATS knows ids."""
        if self._claim is not None:  # the drainer may have left already; the fence tells whether it is still ours
            try:
                await self._move(self._claim)
            except JournalError as error:
                log.info("cursor left behind", partition=self._partition, detail=str(error))

    async def _check_claim(self) -> None:
        claim = self._handover.claim
        mark = await self._journal.watermark(self._partition)
        if claim is None or mark is None or mark.fence != claim.fence:
            raise Fenced(f"partition {self._partition} was claimed by another publisher")

    def _note_lag(self) -> None:
        self._counters.publish_lag = max(0, self._handover.journaled - self._published)

    async def _touch(self, before: int, entries: list[AnyEntry]) -> None:
        """The skus of entries that follow ``before`` owe an availability event."""
        for entry in entries:
            for sku in skus_of(entry):
                if partition_of(sku, self._ledger.partitions) == self._partition:  # a campaign names those of others
                    self._announcer.touch(sku, entry.seq)
            if isinstance(entry, LedgerOpened) and before:
                await self._reopen(before, entry.seq)
            before = entry.seq

    async def _reopen(self, before: int, seq: int) -> None:
        """An epoch begins at ``seq``: what was told of lost changes behind ``before`` is told anew."""
        last = await self._journal.entries_after(self._partition, before - 1, 1)
        at = last[0].at if last and last[0].seq == before else 0  # 0: it left the journal, so all that there is
        skus = await told_beyond(self._nats, self._settings, self._partition, before, at)
        if skus:
            log.warning("told of changes that are lost", partition=self._partition, after=before, skus=len(skus))
        for sku in skus:
            self._announcer.forget(sku)
            self._announcer.touch(sku, seq)

    def _doubt(self, error: BaseException) -> None:
        self._sender.forget()
        if isinstance(error, Fenced):
            self._handover.end()
        elif isinstance(error, _NATS_AWAY):
            self._counters.nats_reachable = False
