"""Sweeper: carries out what a complete full snapshot means for the positions that it does not name (R13).

The ledger keeps what is to be done, and each zero is a command of its own that anything newer wins against. A position
that was zeroed has the snapshot's version and is not found again, so how far a sweep came is written in the positions
themselves: whoever is killed here is followed by somebody who begins again and finds only the rest.
"""

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping

import structlog

from atp.domain.outcomes import Outcome
from atp.domain.snapshots import SnapshotDecide, Zero
from atp.domain.state import Sweep
from atp.ingest.settings import Settings
from atp.ledger import Ledger, LedgerBusy, LedgerError, Unnamed
from atp.waiting import Attempts, stopped_within

log = structlog.get_logger("atp.ingest")


class Stopped(Exception):
    """Told to stop, or no longer the one who sweeps."""


class Sweeper:
    """Any number may run; the one with the lease sweeps, the others stand by."""

    def __init__(self, ledger: Ledger, settings: Settings | None = None) -> None:
        self._ledger = ledger
        self._settings = settings or Settings()
        self._owner = secrets.token_hex(8)
        self._leased_until = 0.0

    async def run(self, stop: asyncio.Event) -> None:
        """Sweep what is to be swept until ``stop``; an absent ledger is waited for."""
        s = self._settings
        attempts = Attempts(log.bind(loop="sweeping"), s.retry_min_s, s.retry_max_s)
        while not stop.is_set():
            try:
                found = await self.run_once(stop) if await self._lease() else 0
            except Stopped:
                continue
            except LedgerError as error:
                await stopped_within(stop, attempts.failed(error))
                continue
            attempts.succeeded()
            if not found:
                await stopped_within(stop, s.sweep_every_s)

    async def run_once(self, stop: asyncio.Event) -> int:
        """Take each complete snapshot as far as it goes without a person; how many there were to take."""
        sweeps, overdue_at = await self._ledger.snapshots.sweeps()
        if overdue_at and overdue_at <= time.time() * 1000:
            self._ledger.snapshots.wake()
        work = {seq: sweep for seq, sweep in sorted(sweeps.items()) if sweep.state != "parked"}
        for seq, sweep in work.items():
            if sweep.state == "sweeping" or await self._count(seq, sweep, stop):
                await self._zero(seq, sweep, stop)
        return len(work)

    async def _count(self, seq: int, sweep: Sweep, stop: asyncio.Event) -> bool:
        """Let the law judge what the zeros would do; whether to go on to them. Without any, there is nothing to do."""
        filled: Counter[str] = Counter()
        emptied: Counter[str] = Counter()
        unnamed = 0
        async for page in self._pages(sweep, stop):
            for location, count in page.counts:
                filled[location] += count
            unnamed += len(page.unnamed)
            emptied.update(location for _, location, is_filled in page.unnamed if is_filled)
        counts = [(location, count, emptied[location]) for location, count in sorted(filled.items())]
        result = await self._ledger.submit(SnapshotDecide(seq, "counted", counts, "", sweep.snapshot))
        log.info("a full snapshot is complete", source=sweep.source, snapshot=sweep.snapshot, state=result.detail)
        if result.outcome is not Outcome.APPLIED or result.detail != "sweeping":
            return False
        if not unnamed:
            await self._finish(seq, sweep, {})
        return unnamed > 0

    async def _zero(self, seq: int, sweep: Sweep, stop: asyncio.Event) -> None:
        outcomes: Counter[str] = Counter()
        async for page in self._pages(sweep, stop):
            zeros = [
                Zero(sku, location, sweep.source, sweep.version_kind, sweep.version, sweep.as_of, sweep.snapshot)
                for sku, location, _ in page.unnamed
            ]
            outcomes.update(result.outcome.name.lower() for result in await self._patiently(zeros, stop))
        await self._finish(seq, sweep, outcomes)

    async def _pages(self, sweep: Sweep, stop: asyncio.Event) -> AsyncIterator[Unnamed]:
        """What the snapshot does not name, of all partitions; before each page it is asked whether to go on."""
        for partition in range(self._ledger.partitions):
            cursor = ""
            while cursor != "0":
                await self._go_on(stop)
                page = await self._ledger.snapshots.unnamed(partition, sweep, cursor or "0", self._settings.sweep_page)
                cursor = page.cursor
                yield page

    async def _finish(self, seq: int, sweep: Sweep, outcomes: Mapping[str, int]) -> None:
        await self._ledger.submit(SnapshotDecide(seq, "swept", [], "", sweep.snapshot))
        log.info("a full snapshot was swept", source=sweep.source, snapshot=sweep.snapshot, zeros=dict(outcomes))

    async def _patiently(self, zeros: list[Zero], stop: asyncio.Event) -> list:
        """A busy ledger has shoppers; they come first."""
        while True:
            try:
                return await self._ledger.apply(zeros)
            except LedgerBusy:
                await self._go_on(stop)
                await stopped_within(stop, self._settings.load_pause_s)

    async def _go_on(self, stop: asyncio.Event) -> None:
        """Raise Stopped when it is somebody else's turn; above half a queue shoppers come first."""
        if stop.is_set() or not await self._lease():
            raise Stopped
        s = self._settings
        if (load := self._ledger.load) > s.load_high:
            await stopped_within(stop, s.load_pause_s * (load - s.load_high) / (1 - s.load_high))

    async def _lease(self) -> bool:
        """Whether it is ours to sweep, asked three times in its life."""
        s = self._settings
        if time.monotonic() < self._leased_until - s.lease_ttl_ms / 1_500:
            return True
        asked = time.monotonic()
        held = await self._ledger.lease("sweep", self._owner, s.lease_ttl_ms)
        self._leased_until = asked + s.lease_ttl_ms / 1_000 if held else 0.0
        return held
