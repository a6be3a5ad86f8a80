"""Several API processes on one port, kept running: ``atp serve --workers N``.

The parent opens nothing and answers nobody: it starts processes, starts them again when they end, and passes on the
signal that ends them. Each has its own slots and ladder; quotas are shared through the ledger (R31).
"""

import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from atp.cli.output import note
from atp.dev.ports import free_port, is_healthy
from atp.dev.process import Launch
from atp.dev.supervisor import Supervisor

#: Said when every process answers.
READY = "all processes answer"

#: How long a process may take to answer what it accepted.
_STOP_S = 20.0


class Worker(Struct, frozen=True):
    """One of them; its health and metrics are on a port of its own."""

    name: str
    arguments: tuple[str, ...]
    operations_port: int

    stop_signal = signal.SIGTERM
    log = None

    def launch(self) -> Launch:
        return Launch([sys.executable, "-m", "atp", "serve", *self.arguments], dict(os.environ), str(Path.cwd()))

    def answers(self, pid: int) -> bool:
        return is_healthy(self.operations_port, "/health/live")


def run_workers(
    count: int, host: str, port: int, operations_host: str, first: int | None, flags: Sequence[str]
) -> int:  # fmt: skip
    """Run ``count`` of them until SIGTERM or SIGINT."""
    workers = [
        _worker(number, host, port, first + number if first else free_port(), flags) for number in range(count)
    ]  # fmt: skip
    for worker in workers:
        note(f"{worker.name}: health and metrics at http://{operations_host}:{worker.operations_port}")
    # Plain asyncio: the supervisor needs options of subprocess that uvloop does not have.
    return asyncio.run(_run(workers, host, port))


def _worker(number: int, host: str, port: int, operations_port: int, flags: Sequence[str]) -> Worker:
    own = ("--shared", "--host", host, "--port", str(port), "--operations-port", str(operations_port))
    return Worker(f"api-{number + 1}", (*own, *flags), operations_port)


async def _run(workers: Sequence[Worker], host: str, port: int) -> int:
    from atp.api.server import require_free

    stop = asyncio.Event()
    with tempfile.TemporaryDirectory(prefix="atp-serve-") as folder:
        supervisor = Supervisor(Path(folder), note)

        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        require_free(host, port)
        watching = asyncio.create_task(_keep(supervisor, workers))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait((watching, stopping), return_when=asyncio.FIRST_COMPLETED)
        watching.cancel()
        stopping.cancel()
        (ended, _) = await asyncio.gather(watching, stopping, return_exceptions=True)
        await supervisor.stop([worker.name for worker in workers], _STOP_S)
        if isinstance(ended, Exception):
            raise ended
    return 0


async def _keep(supervisor: Supervisor, workers: Sequence[Worker]) -> None:
    """Raises ServerFailed when one never comes to answer: the next would not either."""
    for worker in workers:
        supervisor.spawn(worker)
    for worker in workers:
        await supervisor.wait_ready(worker)
    note(READY)  # from now on one that ends is started again
    await supervisor.run()
