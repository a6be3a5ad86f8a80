"""All of it into a report: rows in rounds, each on a server of its own, then the comparison by size."""

from collections.abc import Callable
from statistics import median

from atp.bench.figures import Ratio
from atp.bench.ledger.costs import costs
from atp.bench.ledger.driving import Cost, Options, own_server
from atp.bench.ledger.scale import SMALL, Scale, scales, times
from atp.bench.report import Report
from atp.pages import Table

#: Names of ratios, and the rows they compare with INCR.
_COMPARED = {
    "ledger: hot reserve ÷ INCR": "reserve, hot sku",
    "ledger: hot reserve, 12 locations ÷ INCR": "reserve, hot sku × 12 locations, 2 protected channels",
    "ledger: level ÷ INCR": "level, hot sku",
}


def measure(options: Options, rounds: int, sizes: bool, report: Report, say: Callable[[str], None]) -> None:
    """CPU of each kind of command beside a plain INCR; with ``sizes``, the same in a large ledger."""
    found: list[list[Cost]] = []
    for number in range(rounds):
        say(f"round {number + 1} of {rounds}: what commands cost the ledger's server")
        with own_server() as server:
            found.append(list(costs(server, options)))
    report.tables.append(_rows(found))
    for name, row in _COMPARED.items():
        values = [_of(costs, row).cpu_us / costs[0].cpu_us for costs in found]
        report.ratios.append(Ratio(name, values, by_cpu=True))
    if not sizes:
        return
    with own_server() as server:
        say("calls of many lines")
        report.tables.append(_calls(times(server, options)))
    with own_server() as server:
        say(f"a ledger of {options.large:,} positions and reservations")
        compared, weights = scales(server, options)
    report.tables += [_scales(compared), _weights(weights)]


def _of(costs: list[Cost], name: str) -> Cost:
    return next(cost for cost in costs if cost.name == name)


def _rows(found: list[list[Cost]]) -> Table:
    headings = ["", "script", "cpu", "wall", "script ÷ INCR", "cpu ÷ INCR"]
    table = Table("µs per command on one server, appendfsync always; medians of the rounds", headings, [])
    for same in zip(*found, strict=True):
        script, cpu = ([getattr(cost, name) for cost in same] for name in ("script_us", "cpu_us"))
        over = [
            median(a / getattr(costs[0], name) for a, costs in zip(values, found, strict=True))
            for name, values in (("script_us", script), ("cpu_us", cpu))
        ]
        wall = median(cost.wall_us for cost in same)
        table.rows.append([
            same[0].name, f"{median(script):.2f}", f"{median(cpu):.2f}", f"{wall:.2f}", *(f"{x:.1f}" for x in over)
        ])  # fmt: skip
    return table


def _scales(compared: list[Scale]) -> Table:
    rows = [
        [s.name, f"{s.small.wall_us:.2f}", f"{s.large.wall_us:.2f}", f"{s.ratio:.2f}", f"{s.script_ratio:.2f}"]
        for s in compared
    ]
    title = f"reserve, µs: {SMALL:,} positions and open reservations, and the same in a large ledger"
    return Table(title, ["", "small", "large", "speed ratio", "script ratio"], rows)


def _weights(weights: dict[str, float]) -> Table:
    rows = [
        ["per open reservation of one line", f"{weights['bytes_per_open_reservation']:.0f}", "250"],
        ["per position", f"{weights['bytes_per_position']:.0f}", "120"],
        ["per sku", f"{weights['bytes_per_sku']:.0f}", ""],
        ["per sku with its position, tables as they grow", f"{weights['bytes_per_sku_with_position']:.0f}", ""],
    ]
    return Table("Memory, bytes", ["", "found", "R29"], rows)


def _calls(found: dict[str, float]) -> Table:
    row = [f"{found[name]:.2f}" for name in ("call_p50_ms", "call_p99_ms", "call_max_ms", "all_512x3_p50_ms")]
    title = f"Script time of 512 reserves × 3 lines, in calls of {found['lines_of_call']:.0f} lines"
    return Table(title, ["of a call: p50 ms", "p99 ms", "max ms", "of all: p50 ms"], [row])
