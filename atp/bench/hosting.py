"""ASGI applications beside the service, on its server and loop, each in a process of its own as an API process is."""

import asyncio
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from atp.api.server import serve
from atp.dev import ports, process

_STARTS_S = 30.0
_ENDS_S = 10.0


def host(app: Any, port: int) -> None:
    """Serve until SIGTERM: what the program of a reference or of a peer in Python ends with."""
    import uvloop

    async def run() -> None:
        stop = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
        await serve(app, ports.HOST, port, stop)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())


async def no_lifespan(receive: Any, send: Any) -> None:
    """Answer a server that tells of its start and end to an application that has nothing to open."""
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


class NotServing(Exception):
    """A reference or a peer did not start; the text has the end of its log."""


@contextmanager
def serving(
    command: Sequence[str], folder: Path, name: str, environment: dict[str, str] | None = None
) -> Iterator[tuple[str, int]]:
    """URL and pid of a program that listens on the port it is given last, and dies with us. Raises NotServing."""
    folder.mkdir(parents=True, exist_ok=True)
    port, log = ports.free_port(), folder / f"{name}.log"
    descriptor = process.open_log(log)
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), **(environment or {})}
    try:
        child = process.spawn(process.Launch([*command, str(port)], env, str(folder)), descriptor)
    finally:
        os.close(descriptor)
    try:
        process.poll_until(lambda: child.poll() is not None or not ports.is_free(port), _STARTS_S)
        if child.poll() is not None or ports.is_free(port):
            raise NotServing(f"{name} does not serve:\n{process.log_tail(log)}")
        yield f"http://{ports.HOST}:{port}", child.pid
    finally:
        process.end(child, signal.SIGTERM, _ENDS_S)


def python(*arguments: str) -> list[str]:
    """A command line for this interpreter."""
    return [sys.executable, *arguments]
