"""Worker processes that a test starts and kills, gone at its end whatever becomes of it."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from msgspec import Struct, json

ROOT = Path(__file__).parents[1]


class Crew:
    """Those who do one kind of work; ``every`` has the dead ones, too."""

    def __init__(self, module: str, work: Struct) -> None:
        self._argv = [sys.executable, "-m", module, json.encode(work).decode()]
        self.every: list[asyncio.subprocess.Process] = []

    @property
    def alive(self) -> list[asyncio.subprocess.Process]:
        """The oldest first."""
        return [worker for worker in self.every if worker.returncode is None]

    async def start(self) -> None:
        quiet = asyncio.subprocess.DEVNULL
        self.every.append(await asyncio.create_subprocess_exec(*self._argv, cwd=ROOT, stdout=quiet))

    async def replace(self) -> None:
        """Kill the oldest, and start another one."""
        victim = self.alive[0]
        victim.kill()
        await victim.wait()
        await self.start()


@asynccontextmanager
async def crew(module: str, work: Struct, count: int = 2) -> AsyncIterator[Crew]:
    """``count`` processes ``python -m module <work as JSON>``."""
    crew = Crew(module, work)
    try:
        for _ in range(count):
            await crew.start()
        yield crew
    finally:
        for worker in crew.alive:
            worker.kill()  # of a stopped one, too
        for worker in crew.every:
            await worker.wait()
