"""The primary dies, or is alone without knowing it; its replica is promoted (R6)."""

import asyncio
from pathlib import Path
from random import Random

from tests.faults import apart
from tests.faults.mirrored import Mirrored
from tests.faults.stack import Stack

from .fault import Fault


class OfTwo(Fault):
    """A fault of a ledger that has a replica."""

    def stack(self, folder: Path) -> Stack:
        return Mirrored(folder)


class Promotion(OfTwo):
    """kill -9 of the primary and promotion of its replica; the old one comes back as replica of the new one."""

    lasts_s = (0.0, 0.5)

    def __init__(self) -> None:
        super().__init__("primary killed, replica promoted")

    async def inject(self, stack: Stack, rng: Random) -> None:
        await stack.down(stack.servers["valkey"].name)

    async def heal(self, stack: Stack) -> None:
        assert isinstance(stack, Mirrored)
        await stack.promote()
        stack.lead()
        await stack.restart_follower()
        await stack.follow()


class Isolation(OfTwo):
    """Primary and replica do not hear each other; the replica is promoted while clients still talk to the old primary.

    Whatever that acknowledged would be missing in the new one.
    """

    lasts_s = (0.1, 3.0)

    def __init__(self) -> None:
        super().__init__("isolated old primary")

    async def inject(self, stack: Stack, rng: Random) -> None:
        assert isinstance(stack, Mirrored)
        stack.part()
        await asyncio.sleep(rng.uniform(0.0, 1.0))
        await stack.promote()

    async def heal(self, stack: Stack) -> None:
        assert isinstance(stack, Mirrored)
        stack.lead()
        stack.join()
        await stack.follow()


class Unreachable(Isolation):
    """The same, with a network between the two that loses every packet: nobody is told that it does."""

    def __init__(self) -> None:
        super().__init__()
        self.name = "isolated old primary, every packet between the two lost"

    def missing(self) -> str:
        return apart.missing()

    def stack(self, folder: Path) -> Stack:
        return apart.Apart(folder)


class LostReplica(OfTwo):
    """The replica is away: the primary refuses before it executes, and goes on when it is back."""

    def __init__(self) -> None:
        super().__init__("replica away")

    async def inject(self, stack: Stack, rng: Random) -> None:
        assert isinstance(stack, Mirrored)
        await stack.down(stack.follower.name)

    async def heal(self, stack: Stack) -> None:
        assert isinstance(stack, Mirrored)
        await stack.restart_follower()
        await stack.follow()
