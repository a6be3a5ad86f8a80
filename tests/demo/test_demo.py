"""The demo as people run it: green, green although processes are killed, and red when the ledger oversells."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.support import wait_until

ROOT = Path(__file__).parents[2]
SMALL = ("--skus", "200", "--units", "4000", "--buyers", "16", "--port", "18500")


@pytest.fixture
def environment() -> dict[str, str]:
    """Without settings of the one who runs the tests."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ATP_")}
    return {**kept, "PYTHONPATH": str(ROOT)}


@pytest.fixture
def started(environment: dict[str, str], tmp_path: Path) -> Iterator["Started"]:
    """A demo on a state directory that the test can look into, ended with the test."""
    demo = Started(tmp_path, environment)
    yield demo
    demo.end()


class Started:
    """``atp demo`` in the background, its output in a file."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.state = folder / "state"
        self._output = folder / "output"
        arguments = [*SMALL, "--seconds", "8", "--state-dir", str(self.state)]
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "atp", "demo", *arguments], env=environment, stdout=output, stderr=output
            )

    @property
    def output(self) -> str:
        return self._output.read_text()

    def said(self, text: str) -> bool:
        return text in self.output or self.process.poll() is not None

    def pid(self, name: str) -> int:
        return int((self.state / "run" / f"{name}.pid").read_text())

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(30)


def test_a_promotion_proves_itself(environment: dict[str, str]) -> None:
    arguments = [*SMALL, "--seconds", "3", "--seed", "7", "--json"]
    demo = subprocess.run(
        [sys.executable, "-m", "atp", "demo", *arguments], env=environment, capture_output=True, timeout=90
    )
    assert demo.returncode == 0, demo.stdout.decode() + demo.stderr.decode()
    report = msgspec.json.decode(demo.stdout)
    assert report["ok"] is True
    assert report["seed"] == 7
    assert all(check["ok"] for check in report["checks"])
    assert {"oversold", "lost", "stranded", "dead letters"} <= {check["name"] for check in report["checks"]}
    assert report["sales"]["confirmed"] > 0
    assert report["sales"]["abandoned"] > 0
    assert report["stock"]["poison"] > 0
    assert report["latency_ms"]["reserve"]["p99"] > 0


def test_killed_processes_make_no_difference(started: Started) -> None:
    wait_until(lambda: started.said("The sale is on"), 60, "the sale")
    for name in ("api-1", "ingest", "drain", "valkey"):
        before = started.pid(name)
        os.kill(before, signal.SIGKILL)
        wait_until(lambda name=name, before=before: started.pid(name) != before, 10, f"another {name}")
    assert "Waiting until" not in started.output, "the sale was over before the last kill"
    wait_until(lambda: started.process.poll() is not None, 90, "the report")
    assert started.process.returncode == 0, started.output
    assert re.search(r"came back: .*api-1 1×.*valkey 1×", started.output)
    assert re.search(r"[1-9][0-9,]* retries", started.output)
    assert "checks hold" in started.output


def test_a_ledger_that_oversells_is_found_out(environment: dict[str, str]) -> None:
    script = Path(__file__).parent / "oversell" / "planted.py"
    demo = subprocess.run(
        [sys.executable, str(script), "atp", "demo", *SMALL, "--seconds", "3", "--json"],
        env=environment,
        capture_output=True,
        timeout=90,
    )
    assert demo.returncode == 1, demo.stdout.decode() + demo.stderr.decode()
    report = msgspec.json.decode(demo.stdout)
    checks = {check["name"]: check for check in report["checks"]}
    assert report["ok"] is False
    assert checks["oversold"]["ok"] is False
    assert re.match(r"[1-9]", checks["oversold"]["detail"])
    assert "too many" in checks["oversold"]["offenders"][0]
    assert checks["lost"]["ok"] is True
