"""``atp serve --workers``: processes that share a port, each with health and metrics of its own, kept running."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from atp.cli.workers import READY
from atp.dev.ports import free_port, is_healthy
from tests.dev.test_p0 import ROOT, serving, settings, status
from tests.support import wait_until_async

__all__ = ["settings"]

pytestmark = pytest.mark.anyio


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


async def test_a_dead_worker_is_started_again_and_all_end_together(settings: dict[str, str], tmp_path: Path) -> None:
    port, first, said = free_port(), free_port(2), tmp_path / "said"
    arguments = ("--workers", "2", "--port", str(port), "--operations-port", str(first))
    with said.open("wb") as log, serving(settings, *arguments, said=log.fileno()) as parent:
        await wait_until_async(lambda: READY in said.read_text(), 60, "it says that both answer")
        for each in (port, first, first + 1):
            await wait_until_async(lambda each=each: is_healthy(each, "/health/ready"), 60, "both serve")
        assert status(first, "/metrics") == 200
        assert status(first, "/v1/availability/A") == 404
        assert status(port, "/v1/availability/A") == 401

        workers = children(parent.pid)
        assert len(workers) == 2
        os.kill(workers[0], signal.SIGKILL)
        await wait_until_async(lambda: workers[0] not in children(parent.pid), 20, "it is gone, its socket too")
        assert status(port, "/v1/availability/A") == 401  # the other one goes on
        await wait_until_async(lambda: len({*children(parent.pid)} - {*workers}) == 1, 60, "another one is started")
        await wait_until_async(lambda: is_healthy(first, "/health/ready"), 60, "it is back")
        (started,) = {*children(parent.pid)} - {*workers}
    for pid in (workers[1], started):
        with pytest.raises(ProcessLookupError):  # the parent waited for them
            os.kill(pid, 0)
    assert not is_healthy(port, "/health/live")


async def test_a_port_that_is_taken_ends_it(settings: dict[str, str]) -> None:
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ATP_")} | settings
    command = [sys.executable, "-m", "atp", "serve", "--workers", "2", "--port", str(port)]
    with socket.create_server(("127.0.0.1", port)):
        ended = await asyncio.to_thread(
            subprocess.run, command, cwd=ROOT, env=environment, capture_output=True, timeout=60
        )
    assert ended.returncode == 1
    assert b"cannot be used" in ended.stderr
