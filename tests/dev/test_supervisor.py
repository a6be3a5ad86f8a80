"""The supervisor: a killed child comes back, children never outlive it, and ending is orderly."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from atp.dev.errors import ServerFailed
from atp.dev.process import Launch
from atp.dev.state import StateDir
from atp.dev.supervisor import Supervisor
from atp.dev.valkey import Valkey
from tests.support import wait_until, wait_until_async

pytestmark = pytest.mark.anyio


class Sleeper:
    """A program that sleeps, or does what ``script`` says."""

    stop_signal = signal.SIGTERM

    def __init__(self, folder: Path, name: str = "sleeper", script: str = "sleep 60") -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self._script = script

    def launch(self) -> Launch:
        return Launch(["/bin/sh", "-c", f"exec {self._script}"], {"PATH": "/usr/bin:/bin"})

    def answers(self, pid: int) -> bool:
        return True


def alive(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_a_killed_server_comes_back_on_its_port(tmp_path: Path) -> None:
    said: list[str] = []
    supervisor = Supervisor(tmp_path, said.append)
    server = Valkey(tmp_path)
    pid_file = tmp_path / "valkey.pid"
    supervisor.spawn(server)
    await supervisor.wait_ready(server)
    watch = asyncio.create_task(supervisor.run())
    first = int(pid_file.read_text())
    os.kill(first, signal.SIGKILL)
    await wait_until_async(lambda: int(pid_file.read_text()) != first, description="a new pid in the pid file")
    await wait_until_async(lambda: server.answers(int(pid_file.read_text())), description="an answer on the same port")
    assert "SIGKILL" in said[0]
    watch.cancel()
    second = int(pid_file.read_text())
    await supervisor.stop(["valkey"])
    assert not alive(second)
    assert not pid_file.exists()


async def test_what_stands_back_does_so_again_when_it_is_started_again(tmp_path: Path) -> None:
    supervisor, pid_file = Supervisor(tmp_path, lambda _: None), tmp_path / "sleeper.pid"
    supervisor.spawn(Sleeper(tmp_path), nice=5)
    first = int(pid_file.read_text())
    expected = os.getpriority(os.PRIO_PROCESS, 0) + 5
    assert os.getpriority(os.PRIO_PROCESS, first) == expected
    os.kill(first, signal.SIGKILL)
    await wait_until_async(lambda: supervisor.run_once() == 1, description="another start")
    assert os.getpriority(os.PRIO_PROCESS, int(pid_file.read_text())) == expected
    await supervisor.stop(["sleeper"])


async def test_a_program_that_keeps_failing_is_tried_ever_more_slowly(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path, lambda _: None)
    program = Sleeper(tmp_path, script="false")
    supervisor.spawn(program)
    child = supervisor._children[program.name]
    pauses: list[float] = []
    for _ in range(7):
        await wait_until_async(lambda: not child.alive)
        supervisor._note_end(child, child.started)
        pauses.append((child.next_start or 0) - child.started)
        supervisor._start_again(child)
    supervisor.kill()
    assert pauses == sorted(pauses)
    assert 0 < pauses[0] < pauses[2] < pauses[-1] == pauses[-2]


async def test_who_does_not_listen_is_killed(tmp_path: Path) -> None:
    said: list[str] = []
    supervisor = Supervisor(tmp_path, said.append)
    deaf = Sleeper(tmp_path, script="sh -c 'trap \"\" TERM; touch deaf; while :; do sleep 1; done'")
    deaf_launch = deaf.launch()
    deaf.launch = lambda: Launch(deaf_launch.argv, deaf_launch.env, str(tmp_path))  # type: ignore[method-assign]
    supervisor.spawn(deaf)
    await wait_until_async((tmp_path / "deaf").exists)
    pid = int((tmp_path / "sleeper.pid").read_text())
    await supervisor.stop(["sleeper"], timeout_s=0.2)
    assert not alive(pid)
    assert "was killed" in said[0]


async def test_a_program_that_ends_while_it_starts_is_reported_with_its_log(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path, lambda _: None)
    program = Sleeper(tmp_path, script="sh -c 'echo the reason; exit 3'")
    program.answers = lambda pid: False  # type: ignore[method-assign]
    supervisor.spawn(program)
    with pytest.raises(ServerFailed, match=r"(?s)code 3.*the reason"):
        await supervisor.wait_ready(program)
    supervisor.kill()


def test_children_die_with_a_killed_supervisor(tmp_path: Path) -> None:
    script = f"""
import asyncio, time
from pathlib import Path
from atp.dev.nats import Nats
from atp.dev.postgres import Postgres
from atp.dev.supervisor import Supervisor
from atp.dev.valkey import Valkey
async def main():
    supervisor = Supervisor(Path({str(tmp_path)!r}), print)
    for kind in (Valkey, Nats, Postgres):
        server = kind(Path({str(tmp_path)!r}))
        supervisor.spawn(server)
        await supervisor.wait_ready(server)
    (Path({str(tmp_path)!r}) / "ready").touch()
    time.sleep(600)
asyncio.run(main())
"""
    with subprocess.Popen([sys.executable, "-c", script]) as parent:
        wait_until((tmp_path / "ready").exists, 60, "three servers")
        pids = [int((tmp_path / f"{name}.pid").read_text()) for name in ("valkey", "nats", "postgres")]
        assert all(alive(pid) for pid in pids)
        parent.kill()
    wait_until(lambda: not any(alive(pid) for pid in pids), description="no server without its supervisor")
    StateDir(tmp_path).empty()
