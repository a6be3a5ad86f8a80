"""The ledger is gone, or not the one that everybody knows: it is made anew from the journal (R2).

At level ``journal`` nothing is acknowledged that the journal does not have, so nothing may be missing; what it never
had was told to nobody, and ``ATP_ON_LOSS=open`` lets it be sold again without a person.
"""

import asyncio
import os
import shutil
from random import Random

from atp.config import Config
from tests.faults.stack import Stack

from .disk import log_of
from .fault import Fault

JOURNALED = Config(durability="journal", on_loss="open")


class LedgerLost(Fault):
    """The ledger's disk is gone; its server comes back empty."""

    config = JOURNALED
    lasts_s = (0.0, 1.0)

    def __init__(self) -> None:
        super().__init__("ledger lost, made anew from the journal")

    async def inject(self, stack: Stack, rng: Random) -> None:
        await stack.down("valkey")
        shutil.rmtree(stack.servers["valkey"].directory / "appendonlydir")

    async def heal(self, stack: Stack) -> None:
        await stack.up("valkey")


class RollBack(Fault):
    """The ledger comes back as it was a while ago, like from a backup: callers know better."""

    config = JOURNALED
    lasts_s = (0.0, 0.2)

    def __init__(self) -> None:
        super().__init__("ledger rolled back, made anew from the journal")

    async def inject(self, stack: Stack, rng: Random) -> None:
        before = log_of(stack.servers["valkey"]).stat().st_size
        await asyncio.sleep(rng.uniform(0.5, 1.0))
        await stack.down("valkey")
        os.truncate(log_of(stack.servers["valkey"]), before)

    async def heal(self, stack: Stack) -> None:
        await stack.up("valkey")
