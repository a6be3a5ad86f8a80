"""python -m loadtests.http: see the package's own words."""

import argparse
import asyncio
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import httpx
from msgspec import Struct
from msgspec import json as msgspec_json
from rich.console import Console
from rich.table import Table

import loadtests.http
from atp.dev.ports import free_port, is_free
from atp.dev.stack import DevStack
from atp.dev.state import Endpoints
from loadtests.cpu import cpu_s
from loadtests.http import making

HERE = Path(__file__).parent

#: What atp is asked for, and the reference's request beside it.
SUBJECTS = {
    "reserve": "reserve", "confirm": "reserve", "release": "reserve", "availability": "availability",
    "unchanged": "availability",
}  # fmt: skip

#: Reservations a round of confirm or release may need in a second.
CHANGES_PER_S = 12_000


class Round(Struct):
    """One run of wrk; CPU by process in µs a request."""

    rate: float
    p50_ms: float
    p99_ms: float
    refused: float
    errors: float
    cpu_us: dict[str, float]


class Bench:
    """The servers of a run."""

    def __init__(self, options: argparse.Namespace, folder: Path, endpoints: Endpoints, echoes: dict[str, Any]) -> None:
        self.options, self.folder, self.endpoints, self.echoes = options, folder, endpoints, echoes

    async def round(self, kind: str, reference: str = "") -> Round:
        """One kind of request against atp, or against a reference."""
        lines: list[str] = []
        if not reference and kind in ("confirm", "release"):
            count = self.options.seconds * CHANGES_PER_S
            lines = await making.reservations(self.endpoints, self.options.skus, count)
        elif not reference and kind == "unchanged":
            lines = await making.etags(self.endpoints, self.options.skus)
        made = self.folder / "made"
        await asyncio.to_thread(made.write_text, "\n".join(lines))
        url, pids = self.endpoints.api, self._pids()
        if reference:
            url, pids = self.echoes[reference][0], {reference: self.echoes[reference][1]}
        before = {name: cpu_s(pid) for name, pid in pids.items()}
        found = await asyncio.to_thread(self._wrk, url, kind, made)
        requests, us, p50, p99, refused, errors = found
        spent = {name: (cpu_s(pid) - before[name]) / requests * 1e6 for name, pid in pids.items()}
        return Round(requests / us * 1e6, p50 / 1e3, p99 / 1e3, refused, errors, spent)

    def _pids(self) -> dict[str, int]:
        return {path.stem: int(path.read_text()) for path in (self.folder / "atp" / "run").glob("*.pid")}

    def _wrk(self, url: str, kind: str, made: Path) -> list[float]:
        command = [
            "wrk", "-t1", f"-c{self.options.connections}", f"-d{self.options.seconds}s", "--timeout", "5s",
            "-s", str(HERE / "requests.lua"), url,
            "--", kind, self.endpoints.api_key, str(self.options.skus), str(made),
        ]  # fmt: skip
        timeout = self.options.seconds + 30
        out = subprocess.run(command, capture_output=True, text=True, check=True, timeout=timeout).stdout
        return [float(word) for word in next(x for x in out.splitlines() if x.startswith("RESULT")).split()[1:]]


async def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Alternate rounds; every round, the medians, the ratios, and what the outbox still held at the end."""
    rounds: dict[str, list[Round]] = {}
    with tempfile.TemporaryDirectory(prefix="atp-http-") as name:
        folder = Path(name)
        async with DevStack(folder / "atp", say=lambda _: None) as endpoints:
            await making.stock(endpoints, options.skus)
            with echo("bare") as bare, echo("litestar") as litestar:
                bench = Bench(options, folder, endpoints, {"bare": bare, "litestar": litestar})
                for _ in range(options.rounds):
                    for kind in dict.fromkeys(SUBJECTS[subject] for subject in options.of):
                        for reference in bench.echoes:
                            rounds.setdefault(f"{reference}, {kind}", []).append(await bench.round(kind, reference))
                    for subject in options.of:
                        rounds.setdefault(subject, []).append(await bench.round(subject))
            async with httpx.AsyncClient() as client:
                ready = (await client.get(f"{endpoints.api}/health/ready")).json()
    rate = {name: median(r.rate for r in found) for name, found in rounds.items()}
    ratios = {
        f"{subject} ÷ {reference}": rate[subject] / rate[f"{reference}, {SUBJECTS[subject]}"]
        for subject in options.of
        for reference in ("bare", "litestar")
    }
    return {
        "connections": options.connections, "skus": options.skus, "rounds": rounds, "rate": rate, "ratios": ratios,
        "outbox_left": ready["checks"]["ledger"]["outbox"],
    }  # fmt: skip


@contextmanager
def echo(kind: str) -> Iterator[tuple[str, int]]:
    """A reference in a process of its own, as an API process is: its URL and pid."""
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "loadtests.http.echo", kind, str(port)], cwd=HERE.parent.parent)
    try:
        while is_free(port):
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}", process.pid
    finally:
        process.terminate()
        process.wait(10)


def show(found: dict[str, Any]) -> None:
    console = Console(width=150)
    table = Table(title=f"{found['connections']} connections, {found['skus']} skus; medians of the rounds")
    table.add_column("")
    for heading in ("requests/s", "p50 ms", "p99 ms", "refused", "errors"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("CPU, µs a request")
    for name, rounds in found["rounds"].items():
        cpu = {process: median(r.cpu_us[process] for r in rounds) for process in rounds[0].cpu_us}
        table.add_row(
            name, f"{found['rate'][name]:,.0f}", f"{median(r.p50_ms for r in rounds):.2f}",
            f"{median(r.p99_ms for r in rounds):.2f}", f"{sum(r.refused for r in rounds):.0f}",
            f"{sum(r.errors for r in rounds):.0f}",
            ", ".join(f"{process} {us:.0f}" for process, us in sorted(cpu.items(), key=lambda x: -x[1]) if us >= 1),
        )  # fmt: skip
    console.print(table)
    for name, ratio in found["ratios"].items():
        console.print(f"{name} = {ratio:.2f}")
    console.print(f"left in the outbox: {found['outbox_left']}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=loadtests.http.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=256)
    parser.add_argument("--skus", type=int, default=1)
    parser.add_argument("--of", default=",".join(SUBJECTS), help=f"which of {', '.join(SUBJECTS)}")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    options.of = options.of.split(",")
    if unknown := set(options.of) - set(SUBJECTS):
        raise SystemExit(f"unknown: {', '.join(unknown)}; there is {', '.join(SUBJECTS)}")
    if not shutil.which("wrk"):
        raise SystemExit("wrk is not installed; on Debian: apt-get install wrk")
    found = asyncio.run(measure(options))
    if options.json:
        print(msgspec_json.encode(found).decode())
    else:
        show(found)


if __name__ == "__main__":
    main()
