"""What a run found, as one document; the tables of it are what terminal, page and docs show."""

from msgspec import Struct, field

from atp.bench.figures import GENERATOR, RATIO_SPREAD_MAX, Ratio, Series
from atp.bench.machine import Machine
from atp.pages import Table, must_hold

SINGLE_ROUND = "a single round has nothing to agree with"


class Finding(Struct):
    """Something that must hold whatever the rates are; ``timed`` if a machine too slow for its load breaks it, too."""

    name: str
    ok: bool
    detail: str
    timed: bool = False


class Report(Struct):
    """A run. The fields of the JSON form only ever grow."""

    command: str
    at: str
    commit: str
    settings: dict[str, str]
    machine: Machine
    series: list[Series] = field(default_factory=list)
    ratios: list[Ratio] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)  # peers and parts, with the reason
    unsteady: list[str] = field(default_factory=list)  # references that say the machine is too noisy
    notes: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether everything held that must."""
        return not self.broken

    @property
    def broken(self) -> list[str]:
        """Names of what did not hold; nothing timed where references say that the machine is busy with other work."""
        return [f.name for f in self.findings if not f.ok and not (f.timed and self.unsteady)]

    @property
    def noise(self) -> list[str]:
        """Why this run can give no verdict on rates; empty when it can."""
        doubts = [ratio.doubt for ratio in self.ratios]
        noisy = doubts.count("too noisy")
        bound = f"the rounds of {noisy} of {len(self.ratios)} ratios lie more than {RATIO_SPREAD_MAX:.0%} apart"
        return [*self.unsteady, *([bound] if noisy else []), *([SINGLE_ROUND] if "one round" in doubts else [])]

    @property
    def noisy(self) -> bool:
        """Whether rounds disagree so much that the run says nothing of rates."""
        return bool(self.noise)


def tables(report: Report) -> list[Table]:
    """Everything that is shown as a table, in the order of showing."""
    found = [_rates(report, connections) for connections in dict.fromkeys(s.connections for s in report.series)]
    found += report.tables
    if report.ratios:
        found.append(_ratios(report))
    if report.findings:
        found.append(_findings(report))
    return found


def _rates(report: Report, connections: int) -> Table:
    headings = [
        "",
        "requests/s",
        "of the rounds",
        "p50 ms",
        "p99 ms",
        "p99.9 ms",
        "refused",
        "errors",
        "CPU, µs a request",
    ]
    rows = [
        [
            f"{s.name}, open loop {s.open_rate:,.0f}/s" if s.open_rate else s.name,
            f"{s.rate:,.0f}", f"{min(r.rate for r in s.rounds):,.0f}–{max(r.rate for r in s.rounds):,.0f}",
            *(f"{s.middle(name):.2f}" for name in ("p50_ms", "p99_ms", "p999_ms")),
            f"{sum(r.refused for r in s.rounds)}", f"{sum(r.errors for r in s.rounds)}",
            _cpu(s.cpu_us()),
        ]
        for s in report.series
        if s.connections == connections
    ]  # fmt: skip
    title = f"{connections} connections; medians of the rounds" if connections else "Medians of the rounds"
    return Table(title, headings, rows)


def _cpu(us: dict[str, float]) -> str:
    """All that served, then each by itself, then what asked."""
    asked = us.get(GENERATOR, 0.0)
    served = {name: spent for name, spent in us.items() if name != GENERATOR}
    each = ", ".join(f"{name} {spent:.0f}" for name, spent in served.items())
    return f"{sum(served.values()):.0f}: {each}" + (f"; {GENERATOR} {asked:.0f}" if asked else "")


def _ratios(report: Report) -> Table:
    rows = [
        [r.name, f"{r.middle:.2f}", f"{min(r.values):.2f}–{max(r.values):.2f}", f"{r.spread:.0%}",
         r.doubt]
        for r in report.ratios
    ]  # fmt: skip
    return Table("Ratios, round by round", ["", "median", "lowest–highest", "spread", ""], rows)


def _findings(report: Report) -> Table:
    broken = set(report.broken)
    return must_hold(
        (f.name, "holds" if f.ok else "BROKEN" if f.name in broken else "too noisy", f.detail) for f in report.findings
    )
