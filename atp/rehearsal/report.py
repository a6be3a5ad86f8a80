"""The end of a rehearsal: as one JSON document, or as a page for people."""

from msgspec import Struct
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from atp.proofs import Check, table_of
from atp.rehearsal.advice import Advice


class Sku(Struct):
    """One sku of the campaign; times in seconds of the sale, None for what never happened."""

    sku: str
    set_aside: int
    sold: int
    left: int
    first_gone_s: float | None
    last_sold_s: float | None


class Copy(Struct):
    """Of what the rehearsal was made. ``as_of`` is RFC 3339."""

    seqs: list[int]  # by partition: the journal's last entry
    as_of: str
    records: int
    window: str  # what was changed of the campaign's window, and why
    server: str


class Report(Struct):
    """What was found. The fields of the JSON form only ever grow."""

    ok: bool
    campaign: str
    seed: int
    copy: Copy
    visits: int
    window_seconds: float
    speed: float
    hold_ttl_seconds: int
    sell_out_s: float | None  # when the last sku was sold out for good
    skus: list[Sku]
    reservations: dict[str, int]  # held in all, and how they ended
    refused: dict[str, int]
    conversion: float  # confirmed of all that were held
    units: dict[str, int]  # sold, released, expired
    latency_ms: dict[str, float]
    peak_per_second: int
    ledger_us_per_request: float
    sent_again: int
    advice: list[Advice]
    checks: list[Check]
    live: dict[str, str]  # what was asked of the live ledger, and where it stood


def show(found: Report, console: Console) -> None:
    """The page for people."""
    console.print(
        f"[bold]{escape(found.campaign)}[/] rehearsed with {found.visits:,} visits of {found.window_seconds:,.0f} s "
        f"in {found.window_seconds / found.speed:,.0f} s (×{found.speed:g}), seed {found.seed}"
    )
    console.print(f"Copy of {found.copy.records:,} records as of {found.copy.as_of}, on {escape(found.copy.server)}.")
    console.print(escape(found.copy.window))
    table = Table()
    for name in ("sku", "set aside", "sold", "left", "first gone", "last sold"):
        table.add_column(name, justify="left" if name == "sku" else "right")
    for s in found.skus:
        table.add_row(
            escape(s.sku), f"{s.set_aside:,}", f"{s.sold:,}", f"{s.left:,}", _at(s.first_gone_s), _at(s.last_sold_s)
        )
    console.print(table)
    console.print(f"Sold out: {_at(found.sell_out_s)}" if found.sell_out_s else "Not all was sold.")
    ends = ", ".join(f"{count:,} {name}" for name, count in found.reservations.items())
    console.print(f"Reservations: {ends}; {found.conversion:.0%} of what was held was bought")
    console.print("Refused: " + (", ".join(f"{n:,} {why}" for why, n in found.refused.items()) or "nobody"))
    console.print(f"Units: {found.units['sold']:,} sold, {found.units['released']:,} given back, "
                  f"{found.units['expired']:,} came back by expiry")  # fmt: skip
    console.print(
        f"reserve: p50 {found.latency_ms['p50']:.1f} ms, p99 {found.latency_ms['p99']:.1f} ms, without HTTP; "
        f"busiest second {found.peak_per_second:,} requests; {found.sent_again:,} sent again"
    )
    grid = Table.grid(padding=(0, 2))
    for advice in found.advice:
        grid.add_row(f"[bold]{advice.name}[/]", f"[bold]{advice.value}[/]", escape(advice.why))
    console.print(grid)
    console.print(table_of(found.checks))
    console.print(", ".join(f"{name} {text}" for name, text in found.live.items()))
    console.print("[bold green]Conservation holds.[/]" if found.ok else "[bold red]Conservation is broken.[/]")


def _at(seconds: float | None) -> str:
    return "–" if seconds is None else f"{int(seconds) // 60}:{seconds % 60:04.1f}"
