"""What a run found, as one document; the tables of it are what terminal, page and docs show."""

from msgspec import Struct, field

from atp.bench.figures import Ratio, Series
from atp.bench.machine import Machine


class Finding(Struct):
    """Something that must hold whatever the rates are."""

    name: str
    ok: bool
    detail: str


class Table(Struct):
    """Figures that are no rounds of requests."""

    title: str
    headings: list[str]
    rows: list[list[str]]


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
        return all(finding.ok for finding in self.findings)


def tables(report: Report) -> list[Table]:
    """Everything that is shown as a table, in the order of showing."""
    found = [_rates(report, connections) for connections in dict.fromkeys(s.connections for s in report.series)]
    return [*found, *report.tables, *([_ratios(report)] if report.ratios else []), _findings(report)]


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
            ", ".join(f"{name} {us:.0f}" for name, us in s.cpu_us().items()),
        ]
        for s in report.series
        if s.connections == connections
    ]  # fmt: skip
    title = f"{connections} connections; medians of the rounds" if connections else "Medians of the rounds"
    return Table(title, headings, rows)


def _ratios(report: Report) -> Table:
    rows = [
        [r.name, f"{r.middle:.2f}", f"{min(r.values):.2f}–{max(r.values):.2f}", f"{r.spread:.0%}",
         "too noisy" if r.noisy else ""]
        for r in report.ratios
    ]  # fmt: skip
    return Table("Ratios, round by round", ["", "median", "lowest–highest", "spread", ""], rows)


def _findings(report: Report) -> Table:
    rows = [[f.name, "holds" if f.ok else "BROKEN", f.detail] for f in report.findings]
    return Table("What must hold", ["", "", ""], rows)
