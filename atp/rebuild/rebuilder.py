"""Rebuilder: one partition, from what the journal has to a ledger that serves again (R2).

Any number of processes may try. Who begins last wins: each step names the token of its ``begin``, the ledger refuses
those of an older one, and the first step takes ``meta`` away, so that nothing is sold meanwhile. A rebuilder that dies
leaves an empty ledger behind, which the next one makes anew from its first step.
"""

import asyncio
import os
import socket

import structlog
from msgspec import Struct, structs

from atp.domain.collecting import paused
from atp.domain.entries import AnyEntry, EntriesMissing
from atp.domain.times import rfc3339
from atp.journal import Fenced, Journal, JournalGap
from atp.ledger import Ledger, LedgerUnavailable
from atp.ledger.promotion import EPOCH_GAP
from atp.ledger.restoring import Restoring
from atp.rebuild.loading import Loaded, check_possible, load
from atp.rebuild.progress import Progress, Show
from atp.rebuild.settings import Settings
from atp.rebuild.witnesses import LastTold
from atp.rebuild.writing import write_state

log = structlog.get_logger("atp.rebuild")


class Rebuilt(Struct, frozen=True):
    """What became of a partition."""

    partition: int
    epoch: int
    begin: int  # the last seq of the epoch before
    seq: int  # of the new head
    baseline: int  # the seq it began with, 0 for the first entry
    entries: int  # applied behind it
    records: int  # written
    seconds: dict[str, float]  # by phase
    loss: str  # what is gone, or ""
    accepted: bool  # whether it sells all the same


class Rebuilder:
    """One process's work on one partition of a ledger that may be gone."""

    def __init__(
        self, ledger: Ledger, journal: Journal, partition: int, told: LastTold, settings: Settings, *shows: Show
    ) -> None:
        self._ledger = ledger
        self._journal = journal
        self._partition = partition
        self._told = told
        self._settings = settings
        self._steps = Restoring(ledger.settings.url, ledger.settings.namespace, partition)
        self._progress = Progress(partition, [self._steps.show, *shows], settings.show_every_s, "rebuilding")
        self._owner = f"rebuild:{socket.gethostname()}:{os.getpid()}"

    async def run(self, *, by_hand: bool = False, accept_loss: bool = False) -> Rebuilt | None:
        """Make the partition anew; None if its ledger turns out to be well, and nobody wants it ``by_hand``.

        Raises Superseded when another process began later or was done earlier, JournalCut when the journal does not go
        back far enough, and what ledger and journal raise. It may be called again after anything.
        """
        try:
            with paused():
                return await self._run(by_hand, accept_loss or self._settings.accept_loss)
        finally:
            await self._steps.close()

    async def _run(self, by_hand: bool, accept_loss: bool) -> Rebuilt | None:
        mark = await self._journal.watermark(self._partition)  # before anything is ended: without it nothing is begun
        known = max(mark.seq if mark else 0, self._ledger.position(self._partition))
        epoch, seq = await self._steps.head()
        if epoch and seq >= known and not by_hand:
            return None
        await check_possible(self._journal, self._partition)
        await self._steps.begin(epoch)
        log.warning("the ledger is made anew", partition=self._partition, epoch=epoch, seq=seq, known=known)
        await self._progress.phase("witnesses")
        await asyncio.sleep(self._settings.witness_s)
        seen = await self._steps.seen()
        told = await self._told.seq(self._partition)
        await self._progress.phase("outbox")
        journaled, last_epoch = await self._drain()
        highest = max(known, seq, seen.seq, told, journaled)
        if not highest:
            await self._create()
            return None
        loaded = await load(self._journal, self._partition, self._settings, self._progress)
        await self._progress.phase("wipe")
        await self._steps.wipe()
        loss = self._loss(loaded, highest)
        opening = structs.replace(
            Rebuilt(self._partition, 0, highest, 0, 0, loaded.entries, 0, {}, loss, accept_loss),
            epoch=max(epoch, seen.epoch, last_epoch, loaded.state.epoch) + 1,
            baseline=loaded.baseline.seq if loaded.baseline else 0,
        )
        return await self._restore(loaded, opening)

    async def _restore(self, loaded: Loaded, opening: Rebuilt) -> Rebuilt:
        await self._progress.phase("write")
        meta, records = await write_state(
            self._steps, loaded.state, self._partition, self._ledger.partitions, lambda n: self._progress.step(n, 0)
        )
        await self._progress.phase("open")
        mark = await self._journal.watermark(self._partition)
        if mark is not None and mark.seq > loaded.state.seq:
            raise LedgerUnavailable(f"the journal went on to {mark.seq} meanwhile: it is begun anew")
        meta += [b"followed", b"%d" % opening.begin]
        seq = await self._steps.open(
            opening.epoch, opening.begin + EPOCH_GAP, meta, opening.loss, accepted=opening.accepted
        )
        await self._progress.phase("")
        done = structs.replace(opening, seq=seq, records=records, seconds=self._progress.seconds)
        log.warning("the ledger serves again", **structs.asdict(done))
        return done

    async def _create(self) -> None:
        """Nobody has ever seen an entry: it is a new deployment, not a lost one."""
        await self._ledger.create(self._partition)

    async def _drain(self) -> tuple[int, int]:
        """Journal what the ledger before left in its outbox, as far as it continues; the watermark and its epoch."""
        while True:
            claim = await self._journal.claim(self._partition, self._owner)  # no drainer writes from here on
            baseline = await self._journal.baselines.newest(self._partition)
            healed, after = baseline.seq if baseline else 0, claim.seq
            try:
                while entries := await self._steps.outbox(after, self._settings.entries_max // 16):
                    if entries[0].seq > after + 1 and healed >= entries[0].seq - 1:
                        entries = [_missing(after, entries[0].seq - 1, entries[0].at), *entries]
                    await self._journal.append(self._partition, after, entries, claim.fence)
                    after = entries[-1].seq
                if baseline and healed > after:
                    await self._journal.append(
                        self._partition, after, [_missing(after, healed, baseline.at)], claim.fence
                    )
                    after = healed
            except Fenced:
                continue  # a drainer came back for a moment; it may have journaled some of it
            except JournalGap as gap:
                log.error("the outbox does not continue the journal", partition=self._partition, detail=str(gap))
            return after, claim.epoch

    def _loss(self, loaded: Loaded, highest: int) -> str:
        """What acknowledged changes are gone, for people; "" if none are."""
        reached = loaded.state.seq
        if reached >= highest:
            return ""
        since = rfc3339(loaded.state.last_now) if loaded.state.last_now else "the beginning"
        return (
            f"entries {reached + 1} to {highest} of partition {self._partition} are gone: what was done after {since}"
        )


def _missing(after: int, through: int, at: int) -> AnyEntry:
    return EntriesMissing(through, at, "", "", after)
