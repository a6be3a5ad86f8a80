"""One round of load: wrk where it is installed, our own callers where it is not or where the rate is given."""

import asyncio
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from secrets import token_hex
from urllib.parse import urlsplit

from msgspec import json

from atp.bench import asks as asking
from atp.bench.callers import Plan, Seen
from atp.bench.cpu import cpu_s
from atp.bench.figures import GENERATOR, Round

NO_WRK = "wrk is not installed, so requests come from Python, which costs more of the machine (Debian: apt install wrk)"

_LATE_S = 30.0  # a generator that is not back by then never will be


class GeneratorFailed(Exception):
    """The load generator did not do its work; the text has its words."""


def has_wrk() -> bool:
    """Whether closed loops can be driven by wrk."""
    return shutil.which("wrk") is not None


async def play(
    folder: Path, url: str, asks: Sequence[asking.Ask], connections: int, seconds: float, pids: Mapping[str, int],
    rate: float = 0.0,
) -> Round:  # fmt: skip
    """Send ``asks`` in turn for ``seconds``; ``rate`` is that of an open loop, requests a second. ``pids`` are the
    processes that do the work, by name. Raises GeneratorFailed."""
    path = folder / "asks"
    await asyncio.to_thread(asking.write, path, asks)
    before = {name: cpu_s(pid) for name, pid in pids.items()}
    own = _children_s()
    if rate or not has_wrk():
        seen = await asyncio.to_thread(_callers, path, url, connections, seconds, rate)
    else:
        seen = await asyncio.to_thread(_wrk, path, url, connections, seconds)
    if not seen.requests:
        raise GeneratorFailed(f"{url} answered nothing within {seconds:.0f} s")
    spent = {name: (cpu_s(pid) - before[name]) / seen.requests * 1e6 for name, pid in pids.items()}
    spent[GENERATOR] = (_children_s() - own) / seen.requests * 1e6
    return Round(
        seen.requests / seen.seconds, seen.requests, seen.p50_ms, seen.p99_ms, seen.p999_ms, seen.refused, seen.errors,
        spent,
    )  # fmt: skip


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _wrk(path: Path, url: str, connections: int, seconds: float) -> Seen:
    script = str(files("atp.bench").joinpath("requests.lua"))
    whole = max(1, round(seconds))  # wrk knows no parts of a second
    command = ["wrk", "-t1", f"-c{connections}", f"-d{whole}s", "--timeout", "5s", "-s", script, url]
    out = _output([*command, "--", str(path), token_hex(6)], b"", seconds)
    words = next((x for x in out.decode().splitlines() if x.startswith("RESULT")), "").split()[1:]
    if len(words) != 7:
        raise GeneratorFailed(f"wrk did not say what it found:\n{out.decode()[-2000:]}")
    requests, us, p50, p99, p999, refused, errors = map(float, words)
    return Seen(int(requests), us / 1e6, p50 / 1e3, p99 / 1e3, p999 / 1e3, int(refused), int(errors))


def _callers(path: Path, url: str, connections: int, seconds: float, rate: float) -> Seen:
    parts = urlsplit(url)
    plan = Plan(parts.hostname or "", parts.port or 80, str(path), connections, seconds, rate)
    out = _output([sys.executable, "-m", "atp.bench.callers"], json.encode(plan), seconds)
    return json.decode(out, type=Seen)


def _output(command: list[str], text: bytes, seconds: float) -> bytes:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    try:
        done = subprocess.run(command, input=text, capture_output=True, timeout=seconds + _LATE_S, env=environment)
    except subprocess.TimeoutExpired:
        raise GeneratorFailed(f"{command[0]} was not done {_LATE_S:.0f} s after its time") from None
    if done.returncode:
        raise GeneratorFailed(f"{command[0]} ended with code {done.returncode}:\n{done.stderr.decode()[-2000:]}")
    return done.stdout
