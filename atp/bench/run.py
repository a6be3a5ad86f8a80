"""A run: one command's measures, with the facts around them."""

import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from atp.bench import ingest, load, machine, overload, rebuild, serving
from atp.bench.figures import unsteady
from atp.bench.ledger import measuring
from atp.bench.ledger.driving import Options
from atp.bench.report import Report
from atp.bench.serving import Asked, Say
from atp.domain.times import rfc3339


async def over_http(command: str, asked: Asked, say: Say) -> Report:
    """The report of a measure over HTTP."""
    report = begun(command, {
        "connections": ",".join(map(str, asked.connections)), "seconds": f"{asked.seconds:g}",
        "rounds": str(asked.rounds), "skus": str(asked.skus), "rate": f"{asked.rate:g}", "peers": asked.peers,
    })  # fmt: skip
    if not load.has_wrk() and not asked.rate:
        report.notes.append(load.NO_WRK)
    if asked.peers == "all" and not asked.peers_folder.is_dir():
        report.skipped["peers"] = f"{asked.peers_folder} is not there: peers come with a checkout of the project"
    found = await serving.measure(asked, say)
    report.series, report.ratios, report.findings = found.series, found.ratios, found.findings
    report.skipped |= found.skipped
    report.unsteady = unsteady(found.series)
    return report


def begun(command: str, settings: dict[str, str]) -> Report:
    """An empty report; the machine is looked at before the run's own load."""
    now = rfc3339(time.time_ns() // 1_000_000)
    return Report(command, now, machine.commit(), settings, machine.look(Path(tempfile.gettempdir())))


async def of_ingest(asked: ingest.Asked) -> Report:
    """The report of ingestion."""
    report = begun("ingest", {name: str(getattr(asked, name)) for name in asked.__struct_fields__})
    await ingest.measure(asked, report)
    report.unsteady = unsteady(report.series)
    return report


async def of_ledger(options: Options, rounds: int, sizes: bool, say: Say) -> Report:
    """The report of the ledger's own costs."""
    settings = {"commands": options.commands, "batch": options.batch, "skus": options.skus, "large": options.large}
    report = begun("ledger", {name: str(value) for name, value in {**settings, "rounds": rounds}.items()})
    with _interruptible():
        measuring.measure(options, rounds, sizes, report, say)
    return report


async def of_rebuild(size: int, tail: int, folder: Path | None) -> Report:
    """The report of a lost ledger."""
    report = begun("rebuild", {"size": str(size), "tail": str(tail)})
    await rebuild.measure(size, tail, folder, report)
    return report


async def of_overload(connections: int, seconds: float, rounds: int) -> Report:
    """The report of more callers than can be served."""
    settings = {"connections": str(connections), "seconds": f"{seconds:g}", "rounds": str(rounds)}
    report = begun("overload", settings)
    await overload.measure(connections, seconds, rounds, report)
    return report


async def standard(asked: Asked, say: Say) -> Report:
    """What a regular run measures, in one report."""
    report = await over_http("standard", asked, say)
    say("ingest")
    await ingest.measure(ingest.Asked(rounds=asked.rounds, lag_seconds=0), report)
    report.unsteady = unsteady(report.series)
    options = Options(skus=1_000, locations=(1,), commands=5_000)
    with _interruptible():
        measuring.measure(options, asked.rounds, False, report, say)
    return report


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let Ctrl-C end work that never comes back to the loop, which is who would notice otherwise."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
