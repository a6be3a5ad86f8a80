"""python -m loadtests.ledger: see the package's own words."""

import argparse
import json
from typing import Any

from rich.console import Console
from rich.table import Table

import loadtests.ledger
from loadtests.ledger.costs import costs
from loadtests.ledger.driving import Cost, own_server
from loadtests.ledger.scale import SMALL, Scale, scales, times


def run(options: argparse.Namespace) -> dict[str, Any]:
    """The whole measurement, each part on a server of its own."""
    found: dict[str, Any] = {}
    with own_server() as server:
        found["rows"] = list(costs(server, options))
        found |= times(server, options)
    with own_server() as server:
        found["scales"], sizes = scales(server, options)
    return found | sizes


def show(found: dict[str, Any]) -> None:
    console = Console()
    rows: list[Cost] = found["rows"]
    table = Table(title="µs per command on one server, appendfsync always")
    table.add_column("")
    for heading in ("script", "cpu", "wall", "script ÷ INCR", "cpu ÷ INCR"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(
            row.name, f"{row.script_us:.2f}", f"{row.cpu_us:.2f}", f"{row.wall_us:.2f}",
            f"{row.script_us / rows[0].script_us:.1f}", f"{row.cpu_us / rows[0].cpu_us:.1f}",
        )  # fmt: skip
    console.print(table)
    console.print(_scale_table(found["scales"]))
    console.print(f"memory, bytes: {found['bytes_per_open_reservation']:.0f} per open reservation of one line "
                  f"(R29: 250); {found['bytes_per_position']:.0f} per position (R29: 120), "
                  f"{found['bytes_per_sku']:.0f} per sku, "
                  f"{found['bytes_per_sku_with_position']:.0f} both, with the tables as they grow")  # fmt: skip
    console.print(f"512 reserves × 3 lines, in calls of {found['lines_of_call']:.0f} lines: script time of a call "
                  f"p50 {found['call_p50_ms']:.2f} ms, p99 {found['call_p99_ms']:.2f} ms, "
                  f"max {found['call_max_ms']:.2f} ms; of all {found['all_512x3_p50_ms']:.1f} ms")  # fmt: skip


def _scale_table(scales: list[Scale]) -> Table:
    table = Table(title=f"reserve, µs: {SMALL:,} positions and open reservations, and the same in a large ledger")
    table.add_column("")
    for heading in ("small", "large", "speed ratio", "script ratio"):
        table.add_column(heading, justify="right", no_wrap=True)
    for scale in scales:
        table.add_row(
            scale.name, f"{scale.small.wall_us:.2f}", f"{scale.large.wall_us:.2f}", f"{scale.ratio:.2f}",
            f"{scale.script_ratio:.2f}",
        )  # fmt: skip
    return table


def main() -> None:
    parser = argparse.ArgumentParser(
        description=loadtests.ledger.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batch", type=int, default=100, help="commands per call")
    parser.add_argument("--skus", type=int, default=10_000)
    parser.add_argument("--locations", type=int, nargs="+", default=[1, 12, 200], help="locations per sku")
    parser.add_argument("--large", type=int, default=1_000_000, help="positions and open reservations")
    parser.add_argument("--rounds", type=int, default=9, help="rounds of the comparison by size")
    parser.add_argument("--commands", type=int, default=20_000, help="commands per row")
    parser.add_argument("--batches", type=int, default=200, help="batches of 512")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = run(options)
    if options.json:
        scaled = [{**vars(scale), "small": vars(scale.small), "large": vars(scale.large)} for scale in found["scales"]]
        print(json.dumps({**found, "rows": [vars(row) for row in found["rows"]], "scales": scaled}))
    else:
        show(found)


if __name__ == "__main__":
    main()
