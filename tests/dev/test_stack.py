"""``atp dev`` as people run it: one process to start and to stop, and everything inside it answers."""

import contextlib
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from atp.dev.ports import free_port
from tests.support import wait_until

ROOT = Path(__file__).parents[2]
NAMES = ("valkey", "nats", "postgres", "api-1", "ingest", "drain")


def alive(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


class Dev:
    """One run of ``atp dev``."""

    def __init__(self, state_dir: Path, *arguments: str, settings: dict[str, str] | None = None) -> None:
        self.state_dir = state_dir
        self.output = state_dir.with_name(f"{state_dir.name}.out")
        environ = {name: value for name, value in os.environ.items() if not name.startswith("ATP_")}
        environ |= settings or {}
        with self.output.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "atp", "dev", "--state-dir", str(state_dir), *arguments],
                cwd=ROOT,
                env=environ,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def ready(self) -> dict[str, str]:
        """Wait for ``endpoints.json`` of this run, and read it."""
        file = self.state_dir / "endpoints.json"
        wait_until(lambda: file.exists() or self.process.poll() is not None, 90, "endpoints.json")
        assert self.process.poll() is None, self.output.read_text()
        return json.loads(file.read_text())

    def pid(self, name: str) -> int:
        """The pid in a pid file."""
        return int((self.state_dir / "run" / f"{name}.pid").read_text())

    def pids(self) -> dict[str, int]:
        """Every pid in a pid file."""
        return {file.stem: int(file.read_text()) for file in (self.state_dir / "run").glob("*.pid")}

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and give the exit code."""
        self.process.send_signal(number)
        return self.process.wait(60)


@pytest.fixture
def runs() -> Iterator[list[Dev]]:
    """Runs to be ended even when the test fails; their children go with them."""
    started: list[Dev] = []
    yield started
    for run in started:
        if run.process.poll() is None:
            run.process.kill()
            run.process.wait()


def get(url: str, key: str = "") -> tuple[int, Any]:
    """Status and body of a GET."""
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {key}"} if key else {})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as error:
        with error:
            return error.code, None


def answers(url: str, key: str = "") -> bool:
    """Whether a GET is answered with 200."""
    with contextlib.suppress(OSError):
        return get(url, key)[0] == 200
    return False


def put(url: str, key: str, body: object) -> int:
    """Status of a PUT."""
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers, method="PUT")
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.status


def test_a_day_with_atp_dev(tmp_path: Path, runs: list[Dev]) -> None:
    """Start, use, lose a child, restart with the same state, lose the supervisor, and end."""
    dev = Dev(tmp_path / "state", "--port", str(free_port()), "--workers", "2")
    runs.append(dev)
    first = dev.ready()
    assert set(first) == {"api", "nats", "redis", "postgres", "api_key", "admin_key"}
    assert stat.S_IMODE((dev.state_dir / "endpoints.json").stat().st_mode) == 0o600
    assert set(dev.pids()) == {*NAMES, "api-2"}
    assert get(f"{first['api']}/v1/availability/A", first["api_key"])[0] in (200, 404)
    assert get(f"{first['api']}/v1/clients", first["api_key"])[0] in (403, 404)
    assert put(f"{first['api']}/v1/locations/DC1", first["admin_key"], {"kind": "warehouse"}) in (200, 201)
    _no_secret_in_command_lines(dev, first)

    for name in ("api-1", "drain", "ingest", "valkey", "nats", "postgres"):
        before = dev.pid(name)
        os.kill(before, signal.SIGKILL)
        wait_until(lambda: dev.pid(name) != before, 20, f"another {name}")  # noqa: B023
    wait_until(lambda: answers(f"{first['api']}/health/ready"), 30, "ready after all the killing")

    pids = dev.pids()
    assert dev.end(signal.SIGINT) == 0, dev.output.read_text()
    assert not any(alive(pid) for pid in pids.values())
    assert not (dev.state_dir / "endpoints.json").exists()
    assert dev.pids() == {}

    again = Dev(dev.state_dir)
    runs.append(again)
    assert again.ready() == first
    assert get(f"{first['api']}/v1/locations/DC1", first["admin_key"])[0] == 200

    pids = again.pids()
    assert again.end(signal.SIGKILL) != 0
    wait_until(lambda: not any(alive(pid) for pid in pids.values()), 20, "no child without its supervisor")

    (dev.state_dir / "endpoints.json").unlink()  # the killed one's; a new one will say that this run is ready
    third = Dev(dev.state_dir)
    runs.append(third)
    assert third.ready() == first
    assert get(f"{first['api']}/v1/locations/DC1", first["admin_key"])[0] == 200

    second_on_it = Dev(dev.state_dir)
    runs.append(second_on_it)
    assert second_on_it.process.wait(30) == 1
    assert f"in use by process {third.process.pid}" in second_on_it.output.read_text()
    assert third.end() == 0


def test_a_taken_port_is_avoided_and_said_and_fresh_forgets(tmp_path: Path, runs: list[Dev]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        dev = Dev(tmp_path / "state", "--port", str(port))
        runs.append(dev)
        first = dev.ready()
        assert not first["api"].endswith(f":{port}")
        assert f"Port {port} is taken, so api has port " in dev.output.read_text()
        put(f"{first['api']}/v1/locations/DC1", first["admin_key"], {"kind": "warehouse"})
        assert dev.end() == 0
    fresh = Dev(dev.state_dir, "--fresh")
    runs.append(fresh)
    second = fresh.ready()
    assert second["api"] == first["api"]
    assert second["admin_key"] != first["admin_key"]
    assert get(f"{second['api']}/v1/locations/DC1", second["admin_key"])[0] == 404
    assert fresh.end() == 0


def test_a_server_of_your_own_is_used(tmp_path: Path, runs: list[Dev], valkey: str, namespace: str) -> None:
    settings = {"ATP_REDIS_URL": valkey, "ATP_NAMESPACE": namespace}
    dev = Dev(tmp_path / "state", "--port", str(free_port()), settings=settings)
    runs.append(dev)
    told = "Starting NATS, PostgreSQL, API, ingest and drain."
    wait_until(lambda: told in dev.output.read_text(), 20, "what is starting, told before it is there")
    assert not (dev.state_dir / "endpoints.json").exists()
    assert dev.ready()["redis"] == valkey
    assert set(dev.pids()) == set(NAMES) - {"valkey"}
    assert dev.end() == 0


def _no_secret_in_command_lines(dev: Dev, endpoints: dict[str, str]) -> None:
    secrets = json.loads((dev.state_dir / "secrets.json").read_text()).values()
    for pid in (*dev.pids().values(), dev.process.pid):
        command = Path(f"/proc/{pid}/cmdline").read_text()
        assert not any(secret in command for secret in (*secrets, endpoints["api_key"], endpoints["admin_key"]))
