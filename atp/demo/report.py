"""The end of a run: as one JSON document, or as a page for people."""

from typing import Any

from msgspec import Struct, field
from rich.console import Console
from rich.markup import escape

from atp.demo.tally import Tally, quantile
from atp.proofs import Check, table_of

_SHARES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}


class Report(Struct):
    """What the run found. The fields of the JSON form only ever grow."""

    ok: bool
    seed: int
    seconds: float
    checks: list[Check]
    sales: dict[str, Any]
    latency_ms: dict[str, dict[str, float]]
    rates: dict[str, float]
    stock: dict[str, Any]
    restarts: dict[str, int] = field(default_factory=dict)
    state_dir: str = ""
    total_seconds: float = 0.0


def compose(seed: int, seconds: float, checks: list[Check], tally: Tally, restarts: dict[str, int]) -> Report:
    """Put the findings together."""
    done = tally.done
    return Report(
        ok=all(check.ok for check in checks),
        seed=seed,
        seconds=round(seconds, 1),
        checks=checks,
        sales={
            **{name: done[name] for name in ("reserved", "confirmed", "released", "abandoned", "replayed", "browsed")},
            "units_reserved": tally.units,
            "refused": dict(tally.refusals),
            "retries": dict(tally.retries),
        },
        latency_ms={
            what: {name: round(quantile(values, share), 2) for name, share in _SHARES.items()}
            for what, values in sorted(tally.latencies.items())
        },
        rates={
            f"{what}_per_second": round(count / seconds, 1)
            for what, count in (("reserved", done["reserved"]), ("confirmed", done["confirmed"]),
                                ("refused", tally.refusals.total()), ("browsed", done["browsed"]),
                                ("stock_lines", tally.events["levels"] + tally.events["deltas"]))
        },
        stock=dict(tally.events),
        restarts=restarts,
    )  # fmt: skip


def show(report: Report, console: Console) -> None:
    """The page for people."""
    sales = report.sales
    console.print()
    console.print(
        f"[bold]{sales['reserved']:,}[/] reservations in {report.seconds:g} s "
        f"([bold]{report.rates['reserved_per_second']:,.0f}[/]/s): {sales['confirmed']:,} confirmed, "
        f"{sales['released']:,} released, {sales['abandoned']:,} abandoned, "
        f"{sum(sales['refused'].values()):,} refused, {sum(sales['retries'].values()):,} retries"
    )
    if timing := report.latency_ms.get("reserve"):
        console.print(
            f"reserve answered in p50 {timing['p50']:.1f} ms, p99 {timing['p99']:.1f} ms (one shared machine)"
        )
    console.print("stock events: " + ", ".join(f"{count:,} {name}" for name, count in report.stock.items()))
    if report.restarts:
        console.print("came back: " + ", ".join(f"{name} {times}×" for name, times in report.restarts.items()))
    console.print()
    console.print(table_of(report.checks))
    console.print()
    failed = sum(not check.ok for check in report.checks)
    if report.ok:
        console.print(f"[bold green]All {len(report.checks)} checks hold.[/] Seed {report.seed}.")
    else:
        console.print(f"[bold red]{failed} of {len(report.checks)} checks failed.[/] Seed {report.seed}.")
    if report.state_dir:
        console.print(f"State and logs: {escape(report.state_dir)}")
