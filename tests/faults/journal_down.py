"""PostgreSQL away under load: reservations go on until the outbox is full, then are shed, and nothing is lost (R19)."""

import asyncio
import time

from .sale import Sale
from .stack import Stack


async def run_out(stack: Stack, sale: Sale, seconds: float = 0.0) -> None:
    """Take PostgreSQL away until reserves are refused for the outbox, and for so long at least; then bring it back."""
    buyer = sale.another_buyer()
    kept = await buyer.reserve("buy")
    while kept is None or kept.outcome != "ok":  # scarce skus may be sold out
        kept = await buyer.reserve("buy")
    await stack.down("postgres")
    away = time.monotonic()
    history = sale.history

    def shed() -> bool:
        """Several buyers wait at once, for the one reason that there is."""
        recent = [op for op in history.ops[-200:] if op.kind == "reserve" and op.outcome == "unknown"]
        waiting = [op for op in recent if op.attempts > 2]
        return len(waiting) >= 3 and all(op.code == "ledger-unavailable" for op in waiting)

    await sale.until("reserves to be shed", shed, max(60.0, seconds))
    went_on = [op for op in history.ops if op.kind == "reserve" and away < op.began and op.outcome == "ok"]
    assert len(went_on) > 50, "reservations go on without PostgreSQL"
    assert await buyer.change(kept, "confirm", {}), "what ends holds is taken while reserves are shed"
    buyer.close()
    await asyncio.sleep(max(0.0, away + seconds - time.monotonic()))
    await stack.up("postgres")
    await stack.answering("postgres")
    assert await sale.recover() is not None
