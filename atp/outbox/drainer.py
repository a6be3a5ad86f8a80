"""Drainer: copies one partition's entries from the ledger's outbox to the journal, then trims the outbox.

May be killed at any line. What is journaled is decided by the journal's watermark alone: after any doubt it is read
again, and the work goes on from there (DESIGN §5, R19). The lease only keeps a standby from working in vain; safety
comes from the fence.
"""

import asyncio
import time

import structlog

from atp.domain.entries import AnyEntry
from atp.journal import Claim, Fenced, Journal, JournalError, JournalGap
from atp.ledger import Ledger, LedgerError, LedgerRecovering
from atp.outbox.counters import Counters
from atp.outbox.handover import Handover
from atp.outbox.healing import live_baseline, missing
from atp.outbox.settings import Settings
from atp.waiting import Attempts, stopped_within

log = structlog.get_logger("atp.outbox")


class Drainer:
    """One partition's way from outbox to journal."""

    def __init__(
        self,
        ledger: Ledger,
        journal: Journal,
        partition: int,
        owner: str,
        handover: Handover,
        settings: Settings,
        counters: Counters,
    ) -> None:
        self._ledger = ledger
        self._journal = journal
        self._partition = partition
        self._owner = owner
        self._handover = handover
        self._settings = settings
        self._counters = counters
        self._lease = f"outbox-{partition}"
        self._renew_at = 0.0
        self._seq: int | None = None  # the watermark; None: must be asked
        self._days_at = 0.0
        self._measure_at = 0.0

    async def run(self, stop: asyncio.Event) -> None:
        """Drain until ``stop``; whatever is away is waited for."""
        bound = log.bind(loop="journaling", partition=self._partition)
        attempts = Attempts(bound, self._settings.retry_s, self._settings.retry_max_s)
        while not stop.is_set():
            try:
                count = await self.run_once()
            except (JournalError, LedgerError) as error:
                self._doubt(error)
                await stopped_within(stop, attempts.failed(error))
                continue
            attempts.succeeded()
            self._counters.journal_reachable = True
            if count < self._settings.batch_max:
                await stopped_within(stop, self._pause_s(count))
        await self._leave()

    def _pause_s(self, count: int) -> float:
        """Behind a small batch the next one gathers: a transaction, a trim and a publish cost little more for more."""
        if not self._counters.active:
            return self._settings.standby_s
        return self._settings.gather_s if count else self._settings.idle_s

    async def run_once(self) -> int:
        """Journal one batch and trim it; the number of entries, 0 also while another process is the drainer.

        Raises what ledger and journal raise; nothing is lost by it, and the next call finds out what happened.
        """
        if self._handover.claim is None:
            self._renew_at = 0.0  # before taking over, be sure that nobody else has
        if not await self._holds_lease():
            self._resign("another process drains this partition")
            return 0
        if time.monotonic() > self._measure_at:
            await self._measure()  # before the journal is asked: what waits must be known while that is away
        if self._handover.claim is None:
            await self._claim()
        elif self._seq is None:
            await self._look(self._handover.claim)
        claim, seq = self._handover.claim, self._seq
        assert claim is not None
        assert seq is not None
        entries = await self._read(seq)
        if not entries:
            self._counters.waiting, self._counters.waiting_since = 0, 0.0
            return 0
        self._counters.waiting_since = entries[0].at / 1000
        await self._append(claim, seq, entries)
        self._seq = entries[-1].seq
        self._counters.count_journaled(len(entries))
        self._handover.offer(entries)
        await self._ledger.trim(self._partition, self._seq)
        return len(entries)

    async def _append(self, claim: Claim, after: int, entries: list[AnyEntry]) -> None:
        try:
            await self._journal.append(self._partition, after, entries, claim.fence)
        except JournalGap:
            await self._look(claim)  # a successor may have journaled and trimmed what is missing: then Fenced
            if self._seq != after:
                raise  # the last batch was committed after all
            await self._heal(claim, after, entries)

    async def _heal(self, claim: Claim, after: int, entries: list[AnyEntry]) -> None:
        """The journal was restored to an older state: tell people, and go on behind a baseline (R20)."""
        lost = f"entries {after + 1} to {entries[0].seq - 1} of partition {self._partition} are not in the journal"
        log.error("the journal has a gap", detail=lost)
        await self._journal.raise_gap(self._partition, lost)
        if not await live_baseline(self._ledger, self._journal, self._partition):
            raise JournalGap(f"{lost}, and another process makes the baseline that stands in for them")
        await self._journal.append(self._partition, after, [missing(after, entries[0]), *entries], claim.fence)

    async def _measure(self) -> None:
        """How much waits in the outbox, and since when."""
        self._counters.waiting = (await self._ledger.heads())[self._partition].outbox_length
        oldest = await self._ledger.read_entries(self._partition, self._seq or 0, 1)
        self._counters.waiting_since = oldest[0].at / 1000 if oldest else 0.0
        self._measure_at = time.monotonic() + self._settings.measure_every_s

    async def _holds_lease(self) -> bool:
        now = time.monotonic()
        if now < self._renew_at:
            return True
        held = await self._ledger.lease(self._lease, self._owner, self._settings.lease_ms)
        self._renew_at = now + self._settings.lease_ms / 3000
        return held

    async def _claim(self) -> None:
        """Take the partition over: fence the drainer before, and begin where it stopped."""
        await self._ensure_days()
        claim = await self._journal.claim(self._partition, self._owner)
        await self._settle(claim)
        self._handover.begin(claim)
        self._counters.active = True
        log.info("draining", partition=self._partition, after=claim.seq, fence=claim.fence)

    async def _look(self, claim: Claim) -> None:
        """After a doubt: is the partition still ours, and was the last batch committed?"""
        mark = await self._journal.watermark(self._partition)
        if mark is None or mark.fence != claim.fence:
            raise Fenced(f"partition {self._partition} was claimed by another drainer")
        await self._settle(mark)
        self._handover.arrive_at(mark.seq)

    async def _settle(self, mark: Claim) -> None:
        """Begin behind the watermark; trim what the drainer before may have left untrimmed."""
        head = (await self._ledger.heads())[self._partition]
        if head.seq < mark.seq:
            raise LedgerRecovering(f"the ledger ends at {head.seq}, the journal knows {mark.seq}: it lost its tail")
        await self._ledger.trim(self._partition, mark.seq)
        self._seq = mark.seq

    async def _read(self, after: int) -> list[AnyEntry]:
        """A full batch if there is one: small ledger batches come in small pieces."""
        if time.monotonic() > self._days_at:
            await self._ensure_days()
        entries: list[AnyEntry] = []
        while len(entries) < self._settings.batch_max:
            missing = self._settings.batch_max - len(entries)
            more = await self._ledger.read_entries(self._partition, entries[-1].seq if entries else after, missing)
            if not more:
                break
            entries += more
        return entries

    async def _ensure_days(self) -> None:
        await self._journal.ensure_days()
        self._days_at = time.monotonic() + self._settings.days_every_s

    def _doubt(self, error: JournalError | LedgerError) -> None:
        """Nothing is believed after a failure: the next attempt asks the watermark."""
        self._seq = None
        if isinstance(error, Fenced):
            self._counters.fenced += 1
            self._resign(str(error))
        elif isinstance(error, JournalError):
            self._counters.journal_reachable = False

    def _resign(self, why: str) -> None:
        if self._counters.active:
            log.warning("standing by", partition=self._partition, reason=why)
        self._counters.stand_by()
        self._renew_at = 0.0
        self._seq = None
        self._handover.end()

    async def _leave(self) -> None:
        """Let a standby begin at once instead of when the lease runs out."""
        if self._counters.active:
            try:
                await self._ledger.lease(self._lease, self._owner, 1)
            except LedgerError as error:
                log.info("lease left to run out", partition=self._partition, detail=str(error))
        self._resign("told to end")
