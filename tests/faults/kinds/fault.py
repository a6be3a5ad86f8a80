"""What every fault is."""

import asyncio
from random import Random

from atp.config import Config
from tests.faults.checkers.violation import Violation
from tests.faults.stack import Stack


class Fault:
    """``inject`` and ``heal`` return at once; between the two the fault lasts for a time from ``lasts_s``.

    ``found`` is what the fault itself saw. ``missing`` says what this machine lacks for it, or "".
    """

    lasts_s = (0.2, 1.5)
    extra: tuple[str, ...] = ()  # second processes of the stack that it needs
    config: Config | None = None  # of the stack
    mirrored = False  # whether the ledger must have a replica for it
    disk_mb = 0  # size of the disk that the ledger must have for it, 0 for any

    def __init__(self, name: str) -> None:
        self.name = name
        self.found: list[Violation] = []

    def missing(self) -> str:
        return ""

    async def inject(self, stack: Stack, rng: Random) -> None:
        raise NotImplementedError

    async def heal(self, stack: Stack) -> None:
        raise NotImplementedError

    async def run(self, stack: Stack, rng: Random) -> None:
        """Do it, let it last, undo it."""
        await self.inject(stack, rng)
        try:
            await asyncio.sleep(rng.uniform(*self.lasts_s))
        finally:
            await self.heal(stack)
