"""How the long-running commands run: uvloop, signals, and loops that stand and fall together."""

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from atp.cli.errors import FAILED, explain
from atp.config import Config, unknown
from atp.domain.collecting import rarely

Main = Callable[[asyncio.Event], Awaitable[None]]


def run_service(config: Config, main: Main) -> int:
    """Run ``main`` until it returns; SIGTERM and SIGINT set its stop event, a second one cancels it."""
    import uvloop  # these two are slow to load, and every command loads this module

    from atp.cli.logs import configure

    configure(config)
    for name in unknown():
        logging.getLogger("atp").warning("%s is no setting of this release; misspelt?", name)
    return uvloop.run(_with_signals(main))


async def _with_signals(main: Main) -> int:
    stop = asyncio.Event()
    task = asyncio.current_task()
    assert task is not None

    def on_signal() -> None:
        if stop.is_set():
            task.cancel()
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    try:
        await main(stop)
    except asyncio.CancelledError:
        return FAILED
    except BaseException as error:
        from atp.wiring import Stopped  # loaded by now, as whoever failed was composed there

        if stop.is_set() and isinstance(error, Stopped):
            return 0
        code = explain(error)
        if code is None:
            logging.getLogger("atp").exception("ended by an error of its own")
            return FAILED
        return code
    return 0


async def together(stop: asyncio.Event, *loops: Coroutine[Any, Any, None]) -> None:
    """Run loops that end when ``stop`` is set. One that ends earlier ends all, and its error is raised."""
    rarely()
    tasks = [asyncio.ensure_future(loop) for loop in loops]
    stopped = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait([*tasks, stopped], return_when=asyncio.FIRST_COMPLETED)
        early = not stop.is_set()
        stop.set()
        await asyncio.wait(tasks)
    finally:
        for task in (*tasks, stopped):
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    if early:
        raise RuntimeError("a loop ended without being told to")
