"""More callers than can be served (R25): the rows of ``loadtests/overload`` of a checkout, as tables of a report."""

import asyncio
import sys
from pathlib import Path
from typing import Any

from msgspec import json

from atp.bench.figures import Ratio
from atp.bench.report import Report, Table

ROOT = Path(__file__).parents[2]

#: Start and end of the service around the rows.
_AROUND_S = 300.0

_HEADINGS = {
    "": "name", "goodput/s": "goodput", "p50 ms": "p50_ms", "p99 ms": "p99_ms", "refused/s": "refused",
    "refused p99 ms": "refused_p99_ms", "payments done": "paid", "of": "payments", "payments p99 ms": "payments_p99_ms",
    "back after s": "recovered_s",
}  # fmt: skip


class NoCheckout(Exception):
    """What is asked for is only in a checkout of the project."""


async def measure(connections: int, seconds: float, rounds: int, report: Report) -> None:
    """Each row, ``rounds`` times; ratios are of goodput to the peak of the same round. Raises NoCheckout."""
    if not (ROOT / "loadtests" / "overload").is_dir():
        raise NoCheckout("atp bench overload needs a checkout of the project: loadtests/overload is not there")
    ratios: dict[str, Ratio] = {}
    for number in range(rounds):
        shown = await _play(connections, seconds)
        rows = [[_text(row.get(field)) for field in _HEADINGS.values()] for row in shown]
        report.tables.append(Table(f"Round {number + 1}, peak at {connections} connections", list(_HEADINGS), rows))
        for row in shown[1:]:
            ratio = ratios.setdefault(row["name"], Ratio(f"overload: goodput of {row['name']} ÷ peak", []))
            ratio.values.append(row["goodput"] / shown[0]["goodput"])
    report.ratios += ratios.values()


async def _play(connections: int, seconds: float) -> list[dict[str, Any]]:
    words = ["-m", "loadtests.overload", "--json", "--seconds", f"{seconds:g}", "--connections", f"{connections}"]
    child = await asyncio.create_subprocess_exec(sys.executable, *words, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    try:
        async with asyncio.timeout(_AROUND_S + 20 * seconds):
            out, _ = await child.communicate()
    except BaseException:
        child.terminate()
        raise
    if child.returncode:
        raise RuntimeError(f"loadtests.overload ended with code {child.returncode}")
    return json.decode(out)


def _text(value: Any) -> str:
    if value is None:
        return "never"
    return f"{value:,.1f}" if isinstance(value, float) else str(value)
