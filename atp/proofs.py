"""Proofs: what the end of a played sale is held against its books by, one finding a check."""

from collections.abc import Iterable

from msgspec import Struct, field
from rich.markup import escape
from rich.table import Table

#: Offenders that a failed check names.
OFFENDERS_MAX = 5


class Check(Struct):
    """One finding. ``detail`` has the figures; ``offenders`` are the first ones, and empty when ``ok``."""

    name: str
    ok: bool
    detail: str
    offenders: list[str] = field(default_factory=list)


def finding(name: str, detail: str, offenders: Iterable[str]) -> Check:
    """A check that holds when there are no offenders."""
    found = list(offenders)
    return Check(name, not found, detail, found[:OFFENDERS_MAX])


def table_of(checks: Iterable[Check]) -> Table:
    """For people: a line per check, and its offenders below it."""
    table = Table.grid(padding=(0, 2))
    for check in checks:
        table.add_row("[green]✓[/]" if check.ok else "[bold red]✗[/]", check.name, escape(check.detail))
        for offender in check.offenders:
            table.add_row("", "", f"[red]{escape(offender)}[/]")
    return table
