"""Processes that die or stand still."""

import signal
from collections.abc import Sequence
from random import Random

import asyncpg

from tests.faults.checkers.violation import Violation
from tests.faults.stack import Stack
from tests.support import wait_until_async

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
    """The drainer that works stands still for longer than its lease: the other takes over, it wakes up fenced."""

    extra = ("drain-2",)

    def __init__(self) -> None:
        super().__init__("drain", (5.5, 7.0))  # lease, look and claim of the other take up to five
        self.name = "SIGSTOP drain, longer than its lease"

    async def inject(self, stack: Stack, rng: Random) -> None:
        owner, self._fence = await _claim(stack)
        self._who = next(name for name in ("drain", *self.extra) if f"{stack.pid(name)}" in owner.split(":"))
        await super().inject(stack, rng)

    async def heal(self, stack: Stack) -> None:
        _, fence = await _claim(stack)
        await super().heal(stack)
        if fence == self._fence:
            self.found.append(Violation("F1", "wrong", f"nobody took over from {self._who}: it proves nothing"))


async def _claim(stack: Stack) -> tuple[str, int]:
    """Who writes the partition, and under which fence; a fresh one has to be claimed first."""
    rows: list[asyncpg.Record] = []

    async def claimed() -> bool:
        rows[:] = await stack.ask_journal("select owner, fence from watermarks where partition = 0")
        return bool(rows)

    await wait_until_async(claimed, 30, "a drainer claims the partition")
    return rows[0]["owner"], rows[0]["fence"]


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
