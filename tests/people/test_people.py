"""The load test with people as it is run: green on the service, red on a ledger that sells what is not there."""

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

ROOT = Path(__file__).parents[2]
PLANTED = ROOT / "tests" / "demo" / "oversell" / "planted.py"
SMALL = ("--shape", "spike", "--people", "30", "--arrivals", "30", "--seconds", "3", "--pay-seconds", "0.1",
         "--skus", "60", "--units", "300")  # fmt: skip


def play(folder: Path, *program: str) -> tuple[int, dict]:
    """Exit code and report of a small sale."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ATP_")}
    report = folder / "report.json"
    played = subprocess.run(
        [sys.executable, *program, *SMALL, "--report", str(report)],
        env={**kept, "PYTHONPATH": str(ROOT)}, cwd=ROOT, capture_output=True, timeout=150,
    )  # fmt: skip
    assert report.exists(), played.stdout.decode() + played.stderr.decode()
    return played.returncode, msgspec.json.decode(report.read_bytes())


def test_a_spike_ends_with_a_proof(tmp_path: Path) -> None:
    code, report = play(tmp_path, "-m", "loadtests.people")
    assert (code, report["ok"]) == (0, True), report
    assert report["confirmed"] > 0
    assert report["refused"]["insufficient-availability"] > 0
    assert not report["failures"]
    rows = report["latency_ms"]
    assert {"reserve", "reserve: sold out", "confirm", "changes"} <= rows.keys()
    assert 0 < rows["reserve"]["p50"] <= rows["reserve"]["p99.9"]


@pytest.mark.soak  # each is a whole service and a sale on it
def test_the_same_spike_is_red_without_the_check_of_what_is_free(tmp_path: Path) -> None:
    code, report = play(tmp_path, str(PLANTED), "loadtests.people")
    assert (code, report["ok"]) == (1, False)
    checks = {check["name"]: check for check in report["proof"]["checks"]}
    assert not checks["oversold"]["ok"]
    assert "too many" in checks["oversold"]["offenders"][0]
    assert checks["lost"]["ok"], "nothing was lost, it was sold twice"
