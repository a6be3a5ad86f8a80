"""More callers than can be served (R25): the rows of ``loadtests/overload`` of a checkout, as tables of a report."""

import asyncio
import contextlib
import sys
from asyncio.subprocess import Process
from pathlib import Path
from typing import Any

from msgspec import json

from atp.bench.figures import Ratio
from atp.bench.load import GeneratorFailed
from atp.bench.report import Report
from atp.pages import Table

ROOT = Path(__file__).parents[2]

#: Start and end of the service around the rows.
_AROUND_S = 300.0

#: Interrupted, it may take so long to end.
_ENDS_S = 20.0

_HEADINGS = {
    "": "name", "goodput/s": "goodput", "by CPU": "by_cpu", "p50 ms": "p50_ms", "p99 ms": "p99_ms",
    "refused/s": "refused", "refused p99 ms": "refused_p99_ms", "payments p99 ms": "payments_p99_ms",
    "others' part of the machine": "others",
}  # fmt: skip


class NoCheckout(Exception):
    """What is asked for is only in a checkout of the project."""


async def measure(connections: int, seconds: float, rounds: int, report: Report) -> None:
    """Each row, ``rounds`` times; ratios are of goodput to the peaks around the row.

    Raises NoCheckout, GeneratorFailed.
    """
    if not (ROOT / "loadtests" / "overload").is_dir():
        raise NoCheckout("atp bench overload needs a checkout of the project: loadtests/overload is not there")
    ratios: dict[str, Ratio] = {}
    for number in range(rounds):
        found = await _play(connections, seconds)
        rows = [[_text(row.get(field)) for field in _HEADINGS.values()] for row in found["rows"]]
        peak = f"{found['peak']['goodput']:,.0f}/s at {connections} connections"
        report.tables.append(Table(f"Round {number + 1}, peak {peak}", list(_HEADINGS), rows))
        bars = [(row["name"], bar) for row in found["rows"] for bar in row["bars"]]
        judged = [[row, *map(_text, (bar["name"], bar["figure"], bar["bar"], bar["met"]))] for row, bar in bars]
        report.tables.append(Table(f"Round {number + 1}, bars", ["", "", "figure", "bar", "met"], judged))
        for row, bar in bars:
            if bar["name"] == "goodput ÷ peak":
                ratio = ratios.setdefault(row, Ratio(f"overload: goodput of {row} ÷ peak", []))
                ratio.values.append(bar["figure"])
    report.ratios += ratios.values()


async def _play(connections: int, seconds: float) -> dict[str, Any]:
    words = ["-m", "loadtests.overload", "--json", "--seconds", f"{seconds:g}", "--connections", f"{connections}"]
    child = await asyncio.create_subprocess_exec(
        sys.executable, *words, cwd=ROOT, stdout=asyncio.subprocess.PIPE,
        start_new_session=True,  # else Ctrl-C reaches it twice, and the second one ends its ending
    )  # fmt: skip
    try:
        async with asyncio.timeout(_AROUND_S + 20 * seconds):
            out, _ = await child.communicate()
    except BaseException:
        await _ended(child)
        raise
    if child.returncode:
        raise GeneratorFailed(f"loadtests.overload ended with code {child.returncode}; above it says why")
    return json.decode(out)


async def _ended(child: Process) -> None:
    """Interrupted, it ends its servers and takes its folder away; while it starts, it dies at once and silently."""
    with contextlib.suppress(ProcessLookupError):
        child.terminate()
    try:
        await asyncio.wait_for(child.wait(), _ENDS_S)
    except TimeoutError:
        child.kill()


def _text(value: Any) -> str:
    if value is None:
        return "never"
    if isinstance(value, bool):
        return "yes" if value else "NO"
    return f"{value:,.2f}" if isinstance(value, float) else str(value)
