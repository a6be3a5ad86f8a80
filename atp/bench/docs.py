"""The tables of a run in a Markdown page, between two markers; all else of the page is people's."""

from pathlib import Path

from atp.bench.machine import facts
from atp.bench.report import Report, tables
from atp.pages import Table

BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"


class NoMarkers(Exception):
    """The page has no place for tables."""


def write(path: Path, report: Report) -> None:
    """Replace what is between the markers. Raises NoMarkers, and leaves the page as it is."""
    before, after = parts(path)
    path.write_text(f"{before}{BEGIN}\n\n{markdown(report)}\n{END}{after}")


def parts(path: Path) -> tuple[str, str]:
    """What is before the markers, and behind them. Raises NoMarkers."""
    before, begin, rest = (path.read_text() if path.exists() else "").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise NoMarkers(f"{path} has no lines {BEGIN} and {END} to write between")
    return before, after


def markdown(report: Report) -> str:
    """The report as Markdown."""
    settings = ", ".join(f"{name} {value}" for name, value in report.settings.items())
    parts = [f"`atp bench {report.command}`, {report.at}, commit {report.commit or '(none)'}; {settings}.",
             f"{facts(report.machine)}."]  # fmt: skip
    parts += [f"**{table.title}**\n\n{_table(table)}" for table in tables(report)]
    parts += [f"Skipped: {name}: {reason}." for name, reason in report.skipped.items()]
    if report.noisy:
        parts.append(f"**No verdict:** {'; '.join(report.noise)}.")
    return "\n\n".join([*parts, *report.notes]) + "\n"


def _table(table: Table) -> str:
    aligned = ["---" if table.words(number) else "--:" for number in range(len(table.headings))]
    rows = [table.headings, aligned, *table.rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)
