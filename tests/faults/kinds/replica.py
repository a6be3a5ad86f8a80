"""The primary dies, or is alone without knowing it; its replica is promoted (R6)."""

import asyncio
from random import Random

from tests.faults.mirrored import Mirrored
from tests.faults.stack import Stack

from .fault import Fault


class Promotion(Fault):
    """kill -9 of the primary and promotion of its replica; the old one comes back as replica of the new one."""

    mirrored = True
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


class Isolation(Fault):
    """Primary and replica do not hear each other; the replica is promoted while clients still talk to the old primary.

    Whatever that acknowledged would be missing in the new one.
    """

    mirrored = True
    lasts_s = (0.1, 3.0)

    def __init__(self) -> None:
        super().__init__("isolated old primary")

    async def inject(self, stack: Stack, rng: Random) -> None:
        assert isinstance(stack, Mirrored)
        stack.link.open.clear()
        await asyncio.sleep(rng.uniform(0.0, 1.0))
        await stack.promote()

    async def heal(self, stack: Stack) -> None:
        assert isinstance(stack, Mirrored)
        stack.lead()
        stack.link.reset()
        stack.link.open.set()
        await stack.follow()


class LostReplica(Fault):
    """The replica is away: the primary refuses before it executes, and goes on when it is back."""

    mirrored = True

    def __init__(self) -> None:
        super().__init__("replica away")

    async def inject(self, stack: Stack, rng: Random) -> None:
        assert isinstance(stack, Mirrored)
        await stack.down(stack.follower.name)

    async def heal(self, stack: Stack) -> None:
        assert isinstance(stack, Mirrored)
        await stack.restart_follower()
        await stack.follow()
