"""A baseline now and then, made by a process of its own, so that draining goes on meanwhile (R20)."""

import asyncio
import sys
import time

import structlog

from atp.journal import Journal, JournalError
from atp.waiting import stopped_within

log = structlog.get_logger("atp.outbox")

#: Between two looks whether one is due.
LOOK_S = 300.0


class Nightly:
    """Of every ``hours``, 0 for never; several may run, one of them makes the baseline."""

    def __init__(self, journal: Journal, partitions: int, hours: int, look_s: float = LOOK_S) -> None:
        self._journal = journal
        self._partitions = partitions
        self._hours = hours
        self._look_s = look_s

    async def run(self, stop: asyncio.Event) -> None:
        """Look until ``stop``."""
        while not await stopped_within(stop, self._look_s):
            try:
                if self._hours and await self._due():
                    await self._make(stop)
            except JournalError as error:
                log.warning("no baseline was made", error=type(error).__name__, detail=str(error))

    async def _due(self) -> bool:
        latest = time.time() * 1000 - self._hours * 3_600_000
        for partition in range(self._partitions):
            baseline = await self._journal.baselines.newest(partition)
            first = [] if baseline else await self._journal.entries_after(partition, 0, 1)
            made = baseline.made_at if baseline else first[0].at if first else latest
            if made < latest:
                return True
        return False

    async def _make(self, stop: asyncio.Event) -> None:
        child = await asyncio.create_subprocess_exec(sys.executable, "-m", "atp", "baseline")
        ending = asyncio.create_task(child.wait())
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait((ending, stopping), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not ending.done():
            child.terminate()
        code = await ending
        log.info("baseline", exit_code=code)
