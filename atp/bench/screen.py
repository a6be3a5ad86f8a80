"""A report on a terminal."""

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable

from atp.bench.ending import BROKEN, NO_VERDICT, WELL, Ending
from atp.bench.machine import facts
from atp.bench.report import Report, tables
from atp.pages import Table

_STYLES = {WELL: "bold green", BROKEN: "bold red", NO_VERDICT: "bold yellow"}


def show(report: Report, ending: Ending, console: Console) -> None:
    """All tables, and the facts around them."""
    console.print(f"atp bench {report.command}, {report.at}, commit {report.commit or '(none)'}", highlight=False)
    console.print(facts(report.machine), highlight=False, style="dim")
    for table in (*tables(report), *ending.tables):
        console.print(_rich(table))
    for name, reason in report.skipped.items():
        console.print(f"skipped: {escape(name)}: {escape(reason)}", highlight=False)
    for note in (*report.notes, *report.noise):
        console.print(escape(note), highlight=False)
    console.print(f"{escape(ending.text)}.", style=_STYLES[ending.code])


def _rich(table: Table) -> RichTable:
    made = RichTable(title=table.title, title_justify="left", box=box.SIMPLE_HEAD)
    for number, heading in enumerate(table.headings):
        made.add_column(heading, justify="left" if table.words(number) else "right", overflow="fold")
    for row in table.rows:
        style = "red" if "BROKEN" in row else "yellow" if {"too noisy", "one round"} & set(row) else ""
        made.add_row(*map(escape, row), style=style)
    return made
