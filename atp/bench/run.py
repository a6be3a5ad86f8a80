"""A run: one command's measures, with the facts around them."""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from atp.bench import load, machine, serving
from atp.bench.figures import unsteady
from atp.bench.report import Report
from atp.bench.serving import Asked
from atp.domain.times import rfc3339


async def over_http(command: str, asked: Asked, say: Callable[[str], None]) -> Report:
    """The report of a measure over HTTP."""
    report = begun(command, {
        "connections": ",".join(map(str, asked.connections)), "seconds": f"{asked.seconds:g}",
        "rounds": str(asked.rounds), "skus": str(asked.skus), "rate": f"{asked.rate:g}", "peers": asked.peers,
    })  # fmt: skip
    if not load.has_wrk() and not asked.rate:
        report.notes.append(load.NO_WRK)
    found = await serving.measure(asked, say)
    report.series, report.ratios, report.findings = found.series, found.ratios, found.findings
    report.skipped |= found.skipped
    report.unsteady = unsteady(found.series)
    return report


def begun(command: str, settings: dict[str, str]) -> Report:
    """An empty report; the machine is looked at before the run's own load."""
    now = rfc3339(time.time_ns() // 1_000_000)
    return Report(command, now, machine.commit(), settings, machine.look(Path(tempfile.gettempdir())))
