"""A report on a terminal."""

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable

from atp.bench.machine import Machine
from atp.bench.report import Report, Table, tables


def show(report: Report, console: Console) -> None:
    """All tables, and the facts around them."""
    console.print(f"atp bench {report.command}, {report.at}, commit {report.commit or '(none)'}", highlight=False)
    console.print(facts(report.machine), highlight=False, style="dim")
    for table in tables(report):
        console.print(_rich(table))
    for name, reason in report.skipped.items():
        console.print(f"skipped: {escape(name)}: {escape(reason)}", highlight=False)
    for note in report.notes:
        console.print(escape(note), highlight=False)


def facts(machine: Machine) -> str:
    """The machine in one line."""
    versions = ", ".join(f"{name} {version}" for name, version in machine.versions.items())
    load = " ".join(f"{load:.2f}" for load in machine.load_before)
    return (f"{machine.cpu}, {machine.cores} cores, {machine.memory_gb:g} GB; {machine.kernel}; {machine.filesystem}; "
            f"{machine.python}; {versions}; load before {load}")  # fmt: skip


def _rich(table: Table) -> RichTable:
    made = RichTable(title=table.title, title_justify="left", box=box.SIMPLE_HEAD)
    for number, heading in enumerate(table.headings):
        plain = number == 0 or all(row[number][:1].isalpha() or not row[number] for row in table.rows)
        made.add_column(heading, justify="left" if plain else "right", overflow="fold")
    for row in table.rows:
        style = "red" if "BROKEN" in row else "yellow" if "too noisy" in row else ""
        made.add_row(*map(escape, row), style=style)
    return made
