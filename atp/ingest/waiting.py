"""Waiting for something with a limit, without a task for each wait."""

import asyncio


class Signal:
    """An event that resets itself when it is waited for: a set between two waits is not lost."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def set(self) -> None:
        self._event.set()

    async def wait(self, timeout_s: float) -> bool:
        """Whether it was set within ``timeout_s``."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._event.wait()
        except TimeoutError:
            return False
        self._event.clear()
        return True
