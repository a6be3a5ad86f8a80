"""Processes that die or stand still."""

import signal
from collections.abc import Sequence
from random import Random

from tests.faults.stack import Stack

from .fault import Fault


class Kill(Fault):
    """kill -9; somebody starts it again after a while."""

    lasts_s = (0.0, 1.0)

    def __init__(self, name: str) -> None:
        super().__init__(f"kill -9 {name}")
        self._who = name

    async def inject(self, stack: Stack, rng: Random) -> None:
        await stack.down(self._who)

    async def heal(self, stack: Stack) -> None:
        await stack.up(self._who)

    async def returned(self, stack: Stack) -> None:
        if self._who in ("nats", "postgres"):
            await stack.answering(self._who)


class Freeze(Fault):
    """SIGSTOP, then SIGCONT: connections stand, nobody answers, and what was under way comes late."""

    def __init__(self, name: str, lasts_s: tuple[float, float] = (0.2, 2.0)) -> None:
        super().__init__(f"SIGSTOP {name}")
        self._who = name
        self.lasts_s = lasts_s

    async def inject(self, stack: Stack, rng: Random) -> None:
        stack.signal(self._who, signal.SIGSTOP)

    async def heal(self, stack: Stack) -> None:
        stack.signal(self._who, signal.SIGCONT)


class TakeOver(Freeze):
    """A drainer stands still for longer than its lease: another one takes over, and the first wakes up fenced."""

    extra = ("drain-2",)

    def __init__(self) -> None:
        super().__init__("drain", (3.5, 5.0))
        self.name = "SIGSTOP drain, longer than its lease"


class Together(Fault):
    """Several at once."""

    def __init__(self, name: str, faults: Sequence[Fault]) -> None:
        super().__init__(name)
        self._faults = faults

    async def inject(self, stack: Stack, rng: Random) -> None:
        for fault in self._faults:
            await fault.inject(stack, rng)

    async def heal(self, stack: Stack) -> None:
        for fault in self._faults:
            await fault.heal(stack)
