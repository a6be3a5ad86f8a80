"""A report as one HTML file that needs nothing else."""

from pathlib import Path

from atp import pages
from atp.bench import plots
from atp.bench.machine import facts
from atp.bench.report import Report, tables
from atp.pages import Table, Verdict


def write(path: Path, report: Report, verdict: tuple[Verdict, str], more: list[Table]) -> None:
    """``more`` are tables that come first, as of budgets. Raises NoPlots, Unwritable."""
    settings = ", ".join(f"{name} {value}" for name, value in report.settings.items())
    about = [f"{report.at} · commit {report.commit or '(none)'} · {settings}", facts(report.machine)]
    shown = [pages.table(table) for table in (*more, *tables(report))]
    skipped = [f"Skipped: {name}: {reason}" for name, reason in report.skipped.items()]
    notes = [pages.paragraph(text) for text in (*skipped, *report.notes, *report.noise)]
    pages.write(path, f"atp bench {report.command}", about, verdict, [*plots.all(report), *shown, *notes])
