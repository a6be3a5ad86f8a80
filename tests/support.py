"""What every test may use."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable


class NeverCame(AssertionError):
    """A condition that a test waited for did not become true in time."""


def wait_until(predicate: Callable[[], object], timeout: float = 10.0, description: str = "") -> None:
    """Ask ``predicate`` until it is true; NeverCame names ``description`` when it is not within ``timeout`` seconds."""
    deadline = time.monotonic() + timeout
    while not predicate():
        if time.monotonic() > deadline:
            raise NeverCame(f"not within {timeout} s: {description or predicate}")
        time.sleep(0.01)


async def wait_until_async(
    predicate: Callable[[], object | Awaitable[object]],
    timeout: float = 10.0,
    description: str = "",
) -> None:
    """``wait_until`` for the event loop; the predicate may be a plain or an async function."""
    deadline = time.monotonic() + timeout
    while True:
        answer = predicate()
        if inspect.isawaitable(answer):
            answer = await answer
        if answer:
            return
        if time.monotonic() > deadline:
            raise NeverCame(f"not within {timeout} s: {description or predicate}")
        await asyncio.sleep(0.01)
