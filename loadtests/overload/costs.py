"""Costs: what a row took of the machine, by process: callers share it with the service, so it has to be said."""

import os
from pathlib import Path

from msgspec import Struct

from atp.bench.cpu import cpu_s

_TICKS = os.sysconf("SC_CLK_TCK")


class Costs(Struct):
    """CPU seconds: of the stack's processes by name, of this one, of the whole machine, and of it idle."""

    spent: dict[str, float]
    machine: float
    idle: float

    def __sub__(self, before: "Costs") -> "Costs":
        spent = {name: seconds - before.spent.get(name, 0.0) for name, seconds in self.spent.items()}
        return Costs(spent, self.machine - before.machine, self.idle - before.idle)

    @property
    def others(self) -> float:
        """The part of the machine that went to who has nothing to do with this."""
        return max(0.0, 1 - (self.idle + sum(self.spent.values())) / self.machine)

    def cores(self, seconds: float) -> float:
        """Of CPU seconds of this time, how many cores that is."""
        return seconds / self.machine * (os.cpu_count() or 1)


def costs(run: Path) -> Costs:
    """As it is now; ``run`` has the stack's pid files."""
    spent = {path.stem: cpu_s(int(path.read_text())) for path in run.glob("*.pid")}
    own = os.times()
    parts = [int(part) / _TICKS for part in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return Costs(spent | {"payments": own.user + own.system}, sum(parts), parts[3] + parts[4])
