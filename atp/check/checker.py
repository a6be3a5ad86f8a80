"""Checker: takes up runs that were asked for, or left behind, one at a time."""

import asyncio
import contextlib
import secrets
from collections.abc import Callable

import msgspec
import structlog

from atp.check.following import EntriesGone
from atp.check.partition import JournalBehind, Stopped
from atp.check.run import Checking, Progress
from atp.check.settings import Settings
from atp.journal import Journal, JournalError, Run, RunRow
from atp.ledger import Ledger, LedgerError
from atp.waiting import stopped_within

log = structlog.get_logger("atp.check")


class Busy(Exception):
    """Another run is under way."""


class CheckFailed(Exception):
    """A run cannot go on: the journal is too far behind, or something cannot be read at all."""


class Checker:
    """Any number of processes may have one; a run is with the one that claimed it, until it is silent."""

    def __init__(self, ledger: Ledger, journal: Journal, settings: Settings | None = None) -> None:
        self._ledger, self._journal = ledger, journal
        self._settings = settings or Settings()
        self._owner = secrets.token_hex(8)

    async def run(self, stop: asyncio.Event) -> None:
        """Take up runs until ``stop``; absent servers are waited for."""
        waiting = False
        while not await stopped_within(stop, self._settings.look_every_s):
            try:
                await self.run_once(stop)
                waiting = False
            except (LedgerError, JournalError) as error:
                if not waiting:
                    log.warning("checking waits", error=repr(error))
                waiting = True

    async def run_once(self, stop: asyncio.Event) -> bool:
        """Take up the oldest run, if there is one to take up."""
        run = await self._journal.checking.claim(self._owner, self._settings.dead_after_s)
        if run is None:
            return False
        try:
            done = await self._finish(run, stop.is_set)
            log.info("a check is over", check=run.id, looked=done.looked, found=done.found, repaired=done.repaired)
        except Stopped:
            log.info("a check is left for others to go on with", check=run.id)
        except CheckFailed as failed:
            log.warning("a check failed", check=run.id, problem=str(failed))
        return True

    async def check(self, id: int, watch: Callable[[Progress], None]) -> Run:
        """Run one check to its end. Raises Busy, Stopped, CheckFailed, LedgerError, JournalError."""
        run = await self._journal.checking.claim(self._owner, self._settings.dead_after_s, id)
        if run is None:
            raise Busy(_why_not(id, await self._journal.checking.run(id)))
        return await self._finish(run, lambda: False, watch)

    async def _finish(
        self, run: Run, stopping: Callable[[], bool], watch: Callable[[Progress], None] = lambda _: None
    ) -> Run:
        taken = asyncio.Event()
        beating = asyncio.create_task(self._beat(run.id, taken))
        checking = Checking(
            self._ledger, self._journal, run, self._owner, self._settings, watch, lambda: stopping() or taken.is_set()
        )  # fmt: skip
        try:
            done = await checking.finish()
        except (JournalBehind, EntriesGone, msgspec.DecodeError, ValueError) as error:
            await self._journal.checking.end(run.id, self._owner, "failed", str(error))
            raise CheckFailed(str(error)) from error
        finally:
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)
        note = "" if done.found == done.repaired else f"{done.found - done.repaired} differences are left"
        await self._journal.checking.end(run.id, self._owner, "done", note)
        return done

    async def _beat(self, id: int, taken: asyncio.Event) -> None:
        """Say that the run is with somebody, however long a step takes; learn when it is with somebody else."""
        while not taken.is_set():
            await asyncio.sleep(self._settings.dead_after_s / 3)
            with contextlib.suppress(JournalError):  # the run itself notices
                if not await self._journal.checking.beat(id, self._owner):
                    taken.set()


def _why_not(id: int, row: RunRow | None) -> str:
    if row is None:
        return f"there is no check {id}"
    if row.status in ("done", "failed"):
        return f"check {id} is over: {row.note or row.status}"
    if row.status == "running":
        return f"check {id} is under way in another process"
    return f"check {id} waits, since another one is under way; `atp drain` will run it"
