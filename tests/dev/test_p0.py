"""``atp serve`` with a port for P0 routes: who confirms does not stand in the line of those who reserve."""

import contextlib
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from atp.dev.ports import free_port, is_healthy
from atp.journal import migrate
from atp.ledger import Ledger
from tests.support import patient_ledger, wait_until_async

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]


@pytest.fixture
async def settings(valkey: str, database: str, namespace: str) -> dict[str, str]:
    await migrate(database)
    ledger = Ledger(patient_ledger(valkey, namespace))
    await ledger.open({})
    await ledger.close()
    given = {"REDIS_URL": valkey, "DATABASE_URL": database, "NAMESPACE": namespace, "LOG_FORMAT": "json"}
    return {f"ATP_{name}": value for name, value in given.items()}


@contextlib.contextmanager
def serving(
    settings: dict[str, str], *arguments: str, said: int = subprocess.DEVNULL
) -> Iterator[subprocess.Popen[bytes]]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ATP_")} | settings
    command = [sys.executable, "-m", "atp", "serve", *arguments]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stderr=said) as process:
        try:
            yield process
            process.terminate()
            assert process.wait(20) == 0
        finally:
            process.kill()


def status(port: int, path: str, method: str = "GET") -> int:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


async def test_a_second_listener_answers_p0_alone(settings: dict[str, str]) -> None:
    port, p0 = free_port(), free_port()
    with serving(settings, "--port", str(port), "--p0-port", str(p0)):
        for each in (port, p0):
            await wait_until_async(lambda each=each: is_healthy(each, "/health/ready"), 30, "both ports serve")
        assert_p0_alone(p0)
        assert status(port, "/v1/availability/A") == 401
        assert status(port, "/v1/reservations", "POST") == 401


async def test_a_process_of_its_own_answers_p0_alone(settings: dict[str, str]) -> None:
    port = free_port()
    with serving(settings, "--port", str(port), "--only-p0"):
        await wait_until_async(lambda: is_healthy(port, "/health/ready"), 30, "the port serves")
        assert_p0_alone(port)


def assert_p0_alone(port: int) -> None:
    for action in ("confirm", "release", "extend", "fulfil", "transfer", "acknowledge"):
        assert status(port, f"/v1/reservations/r/{action}", "POST") == 401
    assert status(port, "/metrics") == 200
    for method, path in (
        ("POST", "/v1/reservations"), ("GET", "/v1/availability/A"), ("GET", "/v1/reservations/r"),
        ("POST", "/v1/reservations/r/refund"), ("GET", "/docs"), ("PUT", "/v1/items/A"),
    ):  # fmt: skip
        assert status(port, path, method) == 404
