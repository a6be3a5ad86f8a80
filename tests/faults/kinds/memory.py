"""The ledger's memory: full, or without its functions."""

from random import Random

from tests.faults.stack import Stack

from .fault import Fault


class MemoryFull(Fault):
    """No new units are taken; what ends or moves them goes on (R26)."""

    def __init__(self) -> None:
        super().__init__("ledger memory full")

    async def inject(self, stack: Stack, rng: Random) -> None:
        await stack.ask_ledger("CONFIG", "SET", "maxmemory", 1_000_000)

    async def heal(self, stack: Stack) -> None:
        await stack.ask_ledger("CONFIG", "SET", "maxmemory", 0)


class FlushFunctions(Fault):
    """The library and the script cache are gone: the next batch loads the library again."""

    def __init__(self) -> None:
        super().__init__("functions and scripts flushed")

    async def inject(self, stack: Stack, rng: Random) -> None:
        await self.heal(stack)

    async def heal(self, stack: Stack) -> None:
        await stack.ask_ledger("FUNCTION", "FLUSH")
        await stack.ask_ledger("SCRIPT", "FLUSH")
