"""Leasing: one process makes a partition anew, and the others leave it alone meanwhile (R2)."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from atp.ledger import Ledger, LedgerError


@contextlib.asynccontextmanager
async def leased(ledger: Ledger, partition: int, owner: str, lease_ms: int) -> AsyncIterator[bool]:
    """Whether nobody else makes the partition anew; while the block runs, nobody begins to. Raises LedgerError."""
    lease = f"rebuild-{partition}"
    if not await ledger.lease(lease, owner, lease_ms):
        yield False
        return
    holding = asyncio.create_task(_hold(ledger, lease, owner, lease_ms))
    try:
        yield True
    finally:
        holding.cancel()
        await asyncio.gather(holding, return_exceptions=True)
        with contextlib.suppress(LedgerError):
            await ledger.lease(lease, owner, 1)


async def _hold(ledger: Ledger, lease: str, owner: str, lease_ms: int) -> None:
    while True:
        await asyncio.sleep(lease_ms / 3_000)
        with contextlib.suppress(LedgerError):  # the steps' own fence is what protects the ledger
            await ledger.lease(lease, owner, lease_ms)
