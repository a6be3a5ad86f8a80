"""Run: one check of all partitions, from wherever it stands; and what is kept of it."""

import time
from collections.abc import Callable, Sequence

from msgspec import Struct, json, structs

from atp.check import confirming, indexes, repairs
from atp.check.counters import Key, of_reservation
from atp.check.findings import Finding, Subject
from atp.check.pace import Pace
from atp.check.partition import Partition, Stopped
from atp.check.settings import Settings
from atp.check.settling import Settling
from atp.check.state import State
from atp.check.steps import Steps
from atp.domain.causes import Cause
from atp.journal import Journal, Run
from atp.ledger import Ledger

#: Of the way that is shown, the part that is the pass over the records; the rest is settling.
_PASS = 0.9

#: Findings of one run that are kept; a ledger with more has another problem than these.
FINDINGS_MAX = 10_000

_encode = json.Encoder().encode


class Progress(Struct, frozen=True):
    """Where a run is, for whoever watches."""

    done: float  # 0…1
    stage: str
    looked: int
    found: int
    repaired: int


class Checking:
    """One run, for the one who claimed it."""

    def __init__(
        self,
        ledger: Ledger,
        journal: Journal,
        run: Run,
        owner: str,
        settings: Settings,
        watch: Callable[[Progress], None] = lambda _: None,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self._ledger, self._journal, self._owner, self._settings = ledger, journal, owner, settings
        self._run, self._watch, self._stopping = run, watch, stopping
        self._state = State.unpacked(run.state)
        self._pace = Pace(run.share)
        self._saved_at = time.monotonic()
        self._subjects: set[Subject] = set()  # of what was found in this partition

    async def finish(self) -> Run:
        """Go on to the end. Raises Stopped, LedgerError, JournalError, JournalBehind, EntriesGone."""
        cause = Cause(check=str(self._run.id)).text()
        partitions = [
            Partition(self._ledger, self._journal, n, self._pace, self._settings, self._stopping, cause)
            for n in range(self._ledger.partitions)
        ]
        if not self._state.total:
            self._state.total = sum([await Steps(at, self._state).size() for at in partitions])
        while self._state.partition < len(partitions):
            at = partitions[self._state.partition]
            await self._pass(at)
            await self._settle(at)
            self._state.next_partition()
            await self._save("settled", force=True)
        return self._run

    async def _pass(self, at: Partition) -> None:
        steps = Steps(at, self._state)
        while not steps.over:
            stage = f"partition {at.number}: {steps.names[self._state.step]}"
            self._run = structs.replace(self._run, looked=self._run.looked + await steps.page())
            await self._save(stage)

    async def _settle(self, at: Partition) -> None:
        """Records first, since what is put back adds to counters; then counters; then what the journal says of them."""
        state, stage = self._state, f"partition {at.number}: settling"
        await self._save(stage, force=True)
        begun, self._subjects = await at.head(), set()
        await self._tell(at, await indexes.places(at, state.listed), {})
        found, lost = await confirming.reservations(at, state.reservations)
        await self._tell(at, found, lost)
        put_back = [record for record in lost.values() if record is not None]
        suspects = state.sums.keys() | {k for r in put_back for k, _ in of_reservation(r, at.here)}
        left = [] if self._run.repair else put_back
        told: dict[Key, Finding] = {}
        for _ in range(at.settings.rounds):
            found = await Settling(at, suspects, left).run()
            found += await self._wrong_sums(at, {x.sku for x in found})
            await self._mend(at, found, {})
            told |= {x.key: x for x in found}
            state.places.update((x.sku, x.location) for x in found if x.location)
            suspects = {x.key for x in found if not x.repaired and x.what != "sums"}
            if not self._run.repair or not suspects:
                break
        await self._keep(at, list(told.values()))
        known = {key for key, x in told.items() if not x.repaired}
        await self._tell(at, await confirming.positions(at, state.places, known), {})
        await self._tell(at, await confirming.policies(at, state.policies), {})
        behind, homes = await indexes.legs(at, state.legs)
        await self._tell(at, behind, {}, homes)
        await self._tell(at, await indexes.awaited(at, state.awaited), {})
        await self._tell(at, [*await indexes.exceptions(at), *await indexes.counts(at)], {})
        await repairs.end_others(at, begun, self._subjects)

    async def _wrong_sums(self, at: Partition, known: set[str]) -> list[Finding]:
        """Sums that differ, but for those of skus with a counter that does: they are over other numbers."""
        wrong = await at.wrong_sums(sorted(self._state.skus - known))
        seq = await at.head() if wrong else 0
        return [Finding("sums", "records", at.number, seq, "other", "other sums", sku) for sku in wrong]

    async def _tell(self, at: Partition, found: Sequence[Finding], lost: dict, homes: dict | None = None) -> None:
        await self._mend(at, found, lost)
        if self._run.repair and homes:
            await repairs.follow_home(at, found, homes)
        await self._keep(at, found)

    async def _mend(self, at: Partition, found: Sequence[Finding], lost: dict) -> None:
        self._subjects.update(finding.subject for finding in found)
        await repairs.raise_all(at, found)
        if self._run.repair:
            await repairs.repair_all(at, found, lost)

    async def _keep(self, at: Partition, found: Sequence[Finding]) -> None:
        for finding in found:
            n = self._run.found
            if n < FINDINGS_MAX:
                await self._journal.checking.save_finding(self._run.id, n, _encode(finding))
            self._run = structs.replace(self._run, found=n + 1, repaired=self._run.repaired + finding.repaired)
        if found:
            await self._save(f"partition {at.number}: settling", force=True)

    async def _save(self, stage: str, *, force: bool = False) -> None:
        """Say where it is; now and then, keep it."""
        if self._stopping():
            raise Stopped
        done = min(1.0, self._run.looked / max(1, self._state.total)) * _PASS
        if self._state.partition >= self._ledger.partitions:
            done = 1.0
        self._watch(Progress(done, stage, self._run.looked, self._run.found, self._run.repaired))
        if not force and time.monotonic() - self._saved_at < self._settings.save_every_s:
            return
        self._saved_at = time.monotonic()
        if not await self._journal.checking.save(self._run, self._owner, done, stage, self._state.packed()):
            raise Stopped
