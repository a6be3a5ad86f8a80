"""Scale: reserve in a large ledger beside the same in a small one, and what the large one weighs."""

from dataclasses import dataclass
from statistics import median, quantiles

from atp.bench.ledger.driving import Cost, Ledger, Options, Server
from atp.domain.commands import Reserve
from atp.ledger.limits import Limits
from atp.ledger.pace import Pace

SMALL = 1_000

#: Longest hold: nothing may expire while it is measured.
TTL_MS = 14_400_000


@dataclass
class Scale:
    """Medians over the rounds, µs per reserve; ``ratio`` is the speed in the large ledger ÷ that in the small one."""

    name: str
    small: Cost
    large: Cost

    @property
    def ratio(self) -> float:
        return self.small.wall_us / self.large.wall_us

    @property
    def script_ratio(self) -> float:
        return self.small.script_us / self.large.script_us


def scales(server: Server, options: Options) -> tuple[list[Scale], dict[str, float]]:
    """Rows, and bytes per position and per open reservation of one line, at the large size."""
    large = Ledger(server, "large", 1, options.batch)
    empty = server.memory()
    large.fill(options.large)
    positions = server.memory()
    large.send(large.reserves(SMALL, options.large, ttl_ms=TTL_MS))
    rows = [_compare(server, options, large, f"{options.large:,} positions, {SMALL:,} open reservations")]
    made, before = large.made, server.memory()
    large.send(large.reserves(options.large - made, options.large, ttl_ms=TTL_MS))
    opened = server.memory()
    rows.append(_compare(server, options, large, f"{options.large:,} positions, {options.large:,} open reservations"))
    return rows, {
        "bytes_per_position": large.weight("pos") / options.large,
        "bytes_per_sku": large.weight("sku") / options.large,
        "bytes_per_sku_with_position": (positions - empty) / options.large,
        "bytes_per_open_reservation": (opened - before) / (options.large - made),
    }


def _compare(server: Server, options: Options, large: Ledger, name: str) -> Scale:
    """Rounds in turn, so that a slow moment of the machine meets both. The small ledger is new in every round."""
    found: dict[str, list[Cost]] = {"small": [], "large": []}
    for number in range(options.rounds):
        small = Ledger(server, f"small-{large.made}-{number}", 1, options.batch)
        small.fill(SMALL)
        small.send(small.reserves(SMALL, SMALL, ttl_ms=TTL_MS))
        count = options.commands // 4
        found["small"].append(small.measure("small", small.reserves(count, SMALL, ttl_ms=TTL_MS)))
        found["large"].append(large.measure("large", large.reserves(count, options.large, ttl_ms=TTL_MS)))
    return Scale(name, *(_median(costs) for costs in found.values()))


def _median(costs: list[Cost]) -> Cost:
    return Cost(
        costs[0].name, sum(cost.commands for cost in costs), median(cost.script_us for cost in costs),
        median(cost.cpu_us for cost in costs), median(cost.wall_us for cost in costs),
    )  # fmt: skip


def times(server: Server, options: Options) -> dict[str, float]:
    """Script time of 512 reserves of three lines, in the calls that the batcher makes of them."""
    ledger, skus = Ledger(server, "times", 1, options.batch), min(options.skus, 10_000)
    ledger.fill(skus)
    pace = Pace(Limits().script_us, Limits().lines_max)
    calls: list[float] = []
    lines: list[int] = []
    wholes: list[float] = []
    for _ in range(options.batches):
        wanted: list[Reserve] = list(ledger.reserves(512, skus, lines=3))
        before = len(calls)
        while wanted:
            part, wanted = wanted[: pace.lines // 3], wanted[pace.lines // 3 :]
            took, spent_us = ledger.script_ms(part)
            pace.learn(3 * len(part), spent_us)
            calls.append(took)
            lines.append(3 * len(part))
        wholes.append(sum(calls[before:]))
        ledger.trim()
    cuts = quantiles(calls, n=100, method="inclusive")
    return {
        "lines_of_call": median(lines),
        "call_p50_ms": cuts[49],
        "call_p99_ms": cuts[98],
        "call_max_ms": max(calls),
        "all_512x3_p50_ms": median(wholes),
    }
