"""Rounds, ratios of neighbouring rounds, and when they disagree too much to say anything."""

from collections.abc import Sequence
from statistics import median
from typing import Literal

from msgspec import Struct, field

#: A ratio whose rounds lie further apart than this share of their median gives no verdict: ±10 % around the middle.
RATIO_SPREAD_MAX = 0.20

#: The same for the rate of a reference itself: it has nothing of ours in it, so it tells of the machine alone.
REFERENCE_SPREAD_MAX = 0.30

#: Among the processes of a round: what asked, and served nothing.
GENERATOR = "load generator"

SUBJECT, REFERENCE, PEER = "subject", "reference", "peer"


class Round(Struct):
    """One round. CPU in µs a request by process; percentiles are 0 where nobody waited for single answers."""

    rate: float
    requests: int = 0
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    p999_ms: float = 0.0
    refused: int = 0
    errors: int = 0
    cpu_us: dict[str, float] = field(default_factory=dict)

    @property
    def served_us(self) -> float:
        """CPU a request of all that served it."""
        return sum(us for name, us in self.cpu_us.items() if name != GENERATOR)


class Series(Struct):
    """The rounds of one thing that was measured. ``connections`` is 0 where there are none."""

    name: str
    role: str  # SUBJECT, REFERENCE or PEER
    rounds: list[Round]
    connections: int = 0
    open_rate: float = 0.0  # requests a second that were sent whatever came back; 0: closed loop

    @property
    def rate(self) -> float:
        """Median over the rounds."""
        return median(r.rate for r in self.rounds)

    def middle(self, name: str) -> float:
        """Median of a field of the rounds."""
        return median(getattr(r, name) for r in self.rounds)

    def cpu_us(self) -> dict[str, float]:
        """Median CPU a request by process, the most expensive first; below half a microsecond it is noise."""
        names = {name: None for r in self.rounds for name in r.cpu_us}
        found = {name: median(r.cpu_us.get(name, 0.0) for r in self.rounds) for name in names}
        return {name: us for name, us in sorted(found.items(), key=lambda x: -x[1]) if us >= 0.5}


class Ratio(Struct):
    """One figure per round. ``name`` is what budgets and history know it by.

    What is counted in CPU time (``by_cpu``) changes less than rates when others use the machine, so references whose
    rates are unsteady say nothing against it.
    """

    name: str
    values: list[float]
    by_cpu: bool = False

    @property
    def middle(self) -> float:
        return median(self.values)

    @property
    def spread(self) -> float:
        """Distance of the highest from the lowest round, as a share of the median."""
        return spread(self.values)

    @property
    def noisy(self) -> bool:
        """Whether the rounds disagree too much; a single round has nothing to agree with."""
        return bool(self.doubt)

    @property
    def doubt(self) -> Literal["", "one round", "too noisy"]:
        """Why it gives no verdict; empty when it does. One round says nothing of the machine."""
        if len(self.values) < 2:
            return "one round"
        return "too noisy" if self.spread > RATIO_SPREAD_MAX else ""


def spread(values: Sequence[float]) -> float:
    """(highest − lowest) ÷ median; 0 of nothing."""
    middle = median(values) if values else 0.0
    return (max(values) - min(values)) / middle if middle else 0.0


def ratio(name: str, above: Series, below: Series, of: str = "rate") -> Ratio:
    """Round by round: a slow minute of the machine met both."""
    pairs = zip(above.rounds, below.rounds, strict=True)
    values = [getattr(a, of) / getattr(b, of) if getattr(b, of) else 0.0 for a, b in pairs]
    return Ratio(name, values, of == "served_us")


def unsteady(series: Sequence[Series]) -> list[str]:
    """References whose own rates say that the machine was busy with something else."""
    found = []
    for s in series:
        apart = spread([r.rate for r in s.rounds])
        # In an open loop the rate was chosen, and differs from round to round by design.
        if s.role == REFERENCE and not s.open_rate and apart > REFERENCE_SPREAD_MAX:
            at = f" at {s.connections} connections" if s.connections else ""
            found.append(f"{s.name}{at}: its rounds lie {apart:.0%} apart")
    return found
