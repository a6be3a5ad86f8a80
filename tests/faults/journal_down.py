"""PostgreSQL away under load: reservations go on until the outbox is full, then are shed, and nothing is lost (R19)."""

import asyncio
import time

from .sale import Sale
from .stack import Stack


async def run_out(stack: Stack, sale: Sale, seconds: float = 0.0) -> None:
    """Take PostgreSQL away until reserves are refused for the outbox, and for so long at least; then bring it back."""
    await stack.down("postgres")
    away = time.monotonic()
    held = sale.history

    def shed() -> bool:
        """Several buyers wait at once, for the one reason that there is."""
        waiting = [op for op in held.ops[-200:] if op.kind == "reserve" and op.outcome == "unknown" and op.attempts > 2]
        return len(waiting) >= 3 and all(op.code == "ledger-unavailable" for op in waiting)

    await sale.until("reserves to be shed", shed, max(60.0, seconds))
    full = time.monotonic()
    went_on = [op for op in held.ops if away < op.began and op.outcome == "ok" and op.kind == "reserve"]
    assert len(went_on) > 50, "reservations go on without PostgreSQL"
    ended = [op for op in held.ops if op.kind in ("confirm", "release") and op.ended > full - 1 and op.outcome == "ok"]
    assert ended, "what ends holds is taken while reserves are shed"
    unknown = [op for op in held.ops if op.began > away and op.unknowns and op.attempts > 1]
    assert unknown == [], "a reserve that is shed was not tried, and says so"
    await asyncio.sleep(max(0.0, away + seconds - time.monotonic()))
    await stack.up("postgres")
    assert await sale.recover() is not None
