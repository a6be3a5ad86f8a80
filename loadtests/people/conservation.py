"""The end of a run: what people were told, what the office found, and whether the run may be called good."""

from pathlib import Path

import msgspec
from locust.env import Environment
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from atp.demo.tally import Tally
from loadtests.people.told import Proof


class Outcome(msgspec.Struct):
    """The report. Times in ms; its fields only ever grow."""

    ok: bool
    shape: str
    seed: int
    reserved: int
    confirmed: int
    held_to_confirmed: float
    units_reserved: int
    oversold: str
    refused: dict[str, int]
    retries: dict[str, int]
    failures: int
    latency_ms: dict[str, dict[str, float]]
    proof: Proof


def outcome(environment: Environment, tally: Tally, proof: Proof) -> Outcome:
    """Put together what locust measured and what the office proved. Failed requests fail a run, too."""
    stats, options = environment.stats, environment.parsed_options
    assert options is not None
    done, failures = tally.done, stats.total.num_failures
    return Outcome(
        ok=proof.ok and not failures and done["reserved"] > 0,
        shape=options.shape,
        seed=options.seed,
        reserved=done["reserved"],
        confirmed=done["confirmed"],
        held_to_confirmed=round(done["confirmed"] / max(1, done["reserved"]), 3),
        units_reserved=tally.units,
        oversold=proof.oversold,
        refused=dict(tally.refusals),
        retries=dict(tally.retries),
        failures=failures,
        latency_ms={
            name: {text: float(entry.get_response_time_percentile(share)) for text, share in _SHARES.items()}
            for (name, _), entry in sorted(stats.entries.items())
        },
        proof=proof,
    )


_SHARES = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999, "max": 1.0}


def show(found: Outcome, console: Console) -> None:
    """The page for people."""
    table = Table(title="What was answered, in ms")
    table.add_column("answer")
    for text in _SHARES:
        table.add_column(text, justify="right")
    for name, times in found.latency_ms.items():
        table.add_row(name, *(f"{times[text]:,.0f}" for text in _SHARES))
    console.print(table)
    console.print(
        f"{found.reserved:,} reservations of {found.units_reserved:,} units, {found.confirmed:,} confirmed "
        f"({found.held_to_confirmed:.0%} of what was held), {sum(found.refused.values()):,} refused, "
        f"{sum(found.retries.values()):,} asked again, {found.failures:,} failures"
    )
    proof = Table.grid(padding=(0, 2))
    for check in found.proof.checks:
        proof.add_row("[green]✓[/]" if check.ok else "[bold red]✗[/]", check.name, escape(check.detail))
        for offender in check.offenders:
            proof.add_row("", "", f"[red]{escape(offender)}[/]")
    console.print(proof)
    if not found.proof.ok:
        console.print("[bold red]Conservation is broken.[/]")
    elif found.ok:
        console.print("[bold green]Conservation holds.[/]")
    else:
        console.print(f"[bold red]Conservation holds, but {found.failures or 'all'} requests failed.[/]")


def keep(found: Outcome, path: str) -> None:
    """Write it as JSON."""
    Path(path).write_bytes(msgspec.json.format(msgspec.json.encode(found)))
