"""The end of a rehearsal: as one JSON document, or for people."""

from msgspec import Struct
from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable

from atp.pages import Table
from atp.proofs import Check, table_of
from atp.rehearsal.advice import Advice

#: What people read for names of the document: "4 held in all, …, 0 held" is a riddle.
_ENDS = {"held in all": "in all", "held": "still held"}


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
    visits_from: str  # who came: made up, recorded, or journaled
    window_seconds: float
    speed: float
    hold_ttl_seconds: int
    sell_out_s: float | None  # when the last sku was sold out for good
    skus: list[Sku]
    reservations: dict[str, int]  # held in all, and how they ended
    refused: dict[str, int]
    conversion: float  # confirmed of all that were held
    units: dict[str, int]  # sold, released, expired
    latency_ms: dict[str, float]  # of reserve, at the ledger: no HTTP is in it
    peak_per_second: int
    ledger_us_per_request: float
    sent_again: int
    advice: list[Advice]
    checks: list[Check]
    timeline: list[tuple[int, int, int]]  # (second of the sale, requests, holds granted)
    live: dict[str, str]  # what was asked of the live ledger, and where it stood


def about(found: Report) -> list[str]:
    """What was played, and on what; a sentence each."""
    return [
        f"{found.visits:,} visits of {found.window_seconds:,.0f} s in {found.window_seconds / found.speed:,.0f} s "
        f"(×{found.speed:.3g}), {found.visits_from}",
        f"Copy of {found.copy.records:,} records as of {found.copy.as_of}, on {found.copy.server}.",
        found.copy.window,
    ]


def skus(found: Report) -> Table:
    """What became of each sku of the campaign."""
    rows = [
        [s.sku, f"{s.set_aside:,}", f"{s.sold:,}", f"{s.left:,}", _at(s.first_gone_s), _at(s.last_sold_s)]
        for s in found.skus
    ]
    return Table("By sku", ["sku", "set aside", "sold", "left", "first gone", "last sold"], rows)


def outcome(found: Report) -> list[str]:
    """How it went; a sentence each."""
    ends = ", ".join(f"{count:,} {_ENDS.get(name, name)}" for name, count in found.reservations.items())
    refused = ", ".join(f"{n:,} {why}" for why, n in found.refused.items())
    units, latency = found.units, found.latency_ms
    return [
        f"Sold out: {_at(found.sell_out_s)}" if found.sell_out_s else "Not all was sold.",
        f"Reservations: {ends}; {found.conversion:.0%} of what was held was bought",
        f"Refused: {refused or 'nobody'}",
        f"Units: {units['sold']:,} sold, {units['released']:,} given back, {units['expired']:,} came back by expiry",
        f"reserve: p50 {latency['p50']:.1f} ms, p99 {latency['p99']:.1f} ms at the ledger, without HTTP; "
        f"busiest second {found.peak_per_second:,} requests; {found.sent_again:,} sent again",
    ]


def verdict(found: Report) -> str:
    """In three words."""
    return "Conservation holds." if found.ok else "Conservation is broken."


def show(found: Report, console: Console) -> None:
    """On a terminal."""
    first, *rest = about(found)
    console.print(f"[bold]{escape(found.campaign)}[/] rehearsed with {escape(first)}")
    for sentence in rest:
        console.print(escape(sentence))
    shown = skus(found)
    table = RichTable()
    for name in shown.headings:
        table.add_column(name, justify="left" if name == "sku" else "right")
    for row in shown.rows:
        table.add_row(*map(escape, row))
    console.print(table)
    for sentence in outcome(found):
        console.print(escape(sentence))
    grid = RichTable.grid(padding=(0, 2))
    for advice in found.advice:
        grid.add_row(f"[bold]{advice.name}[/]", f"[bold]{advice.value}[/]", escape(advice.why))
    console.print(grid)
    console.print(table_of(found.checks))
    console.print(", ".join(f"{name} {text}" for name, text in found.live.items()))
    console.print(f"[bold {'green' if found.ok else 'red'}]{verdict(found)}[/]")


def _at(seconds: float | None) -> str:
    return "–" if seconds is None else f"{int(seconds) // 60}:{seconds % 60:04.1f}"
