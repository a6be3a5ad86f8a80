"""Waiting with a limit, as every loop that ends by an event needs it."""

import asyncio


async def stopped_within(stop: asyncio.Event, timeout_s: float) -> bool:
    """Sleep, but no longer than until ``stop`` is set; whether it is."""
    try:
        async with asyncio.timeout(timeout_s):
            await stop.wait()
    except TimeoutError:
        return False
    return True
