"""What every fault is."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from random import Random

from atp.config import Config
from atp.dev.valkey import Valkey
from tests.faults.checkers.violation import Violation
from tests.faults.stack import Stack


class Fault:
    """``inject`` and ``heal`` return at once; between the two the fault lasts for a time from ``lasts_s``.

    ``found`` is what the fault itself saw. ``missing`` says what this machine lacks for it, or "".
    """

    lasts_s = (0.2, 1.5)
    clock_slack_s = 0.0  # by how much the ledger's clock stays behind meanwhile
    extra: tuple[str, ...] = ()  # second processes of the stack that it needs
    config: Config | None = None  # of the stack
    disk_mb = 0  # size of the disk that the ledger must have for it, 0 for any
    ledger: type[Valkey] = Valkey  # its server

    def __init__(self, name: str) -> None:
        self.name = name
        self.found: list[Violation] = []

    def missing(self) -> str:
        return ""

    def plants(self, folder: Path) -> Mapping[str, str]:
        """What is planted into own processes for it, by name; ``folder`` is the stack's."""
        return {}

    def stack(self, folder: Path) -> Stack:
        """What it is done to."""
        return Stack(folder, self.plants(folder), self.extra, self.disk_mb, self.config, self.ledger)

    async def inject(self, stack: Stack, rng: Random) -> None:
        raise NotImplementedError

    async def heal(self, stack: Stack) -> None:
        raise NotImplementedError

    async def returned(self, stack: Stack) -> None:
        """Wait for what the service can only wait for; what it needs behind that is its own time to recover."""

    async def run(self, stack: Stack, rng: Random) -> None:
        """Do it, let it last, undo it."""
        await self.inject(stack, rng)
        try:
            await asyncio.sleep(rng.uniform(*self.lasts_s))
        finally:
            await self.heal(stack)
        await self.returned(stack)
