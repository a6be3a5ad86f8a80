"""Costs: what a row took of the machine, by process: callers share it with the service, so it has to be said."""

import os
from pathlib import Path

from msgspec import Struct

from atp.bench.cpu import cpu_s

_TICKS = os.sysconf("SC_CLK_TCK")


class Costs(Struct):
    """CPU seconds since the beginning: of the stack's processes by name, of this one, and of all the machine."""

    spent: dict[str, float]
    machine: float
    idle: float


def costs(run: Path) -> Costs:
    """As it is now; ``run`` has the stack's pid files."""
    spent = {path.stem: cpu_s(int(path.read_text())) for path in run.glob("*.pid")}
    own = os.times()
    busy = [int(part) / _TICKS for part in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return Costs({**spent, "payments": own.user + own.system}, sum(busy), busy[3] + busy[4])


def between(before: Costs, after: Costs) -> Costs:
    """What was spent from one time to the other."""
    spent = {name: after.spent[name] - before.spent.get(name, 0.0) for name in after.spent}
    return Costs(spent, after.machine - before.machine, after.idle - before.idle)
