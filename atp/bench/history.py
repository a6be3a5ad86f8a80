"""One line for each run in a file of JSON lines: what was measured before, on a machine of the same kind."""

from pathlib import Path

import msgspec
from msgspec import Struct

from atp.bench.machine import Machine
from atp.bench.report import Report
from atp.pages import Table


class Line(Struct):
    """A run; the fields only ever grow. ``ratios`` are (median, lowest, highest)."""

    at: str
    commit: str
    command: str
    settings: dict[str, str]
    kind: str  # of the machine
    machine: Machine
    ratios: dict[str, tuple[float, float, float]]
    noisy: bool
    ok: bool


class BadHistory(Exception):
    """A line cannot be read; the text names it."""


def line_of(report: Report) -> Line:
    """What is kept of a run."""
    ratios = {r.name: (round(r.middle, 4), round(min(r.values), 4), round(max(r.values), 4)) for r in report.ratios}
    return Line(
        report.at, report.commit, report.command, report.settings, report.machine.kind, report.machine, ratios,
        report.noisy, report.ok,
    )  # fmt: skip


def append(path: Path, line: Line) -> None:
    """Add a run to the file, which may be new."""
    with path.open("ab") as file:
        file.write(msgspec.json.encode(line) + b"\n")


def read(path: Path) -> list[Line]:
    """All runs, the oldest first; none of a file that is not there. Raises BadHistory."""
    if not path.exists():
        return []
    found = []
    for number, text in enumerate(path.read_bytes().splitlines(), 1):
        try:
            found.append(msgspec.json.decode(text, type=Line))
        except msgspec.DecodeError as error:
            raise BadHistory(f"{path}, line {number}: {error}") from None
    return found


def last_like(lines: list[Line], line: Line) -> Line | None:
    """The newest run that this one can be compared with: the same measure on the same kind of machine, not noisy."""
    same = [
        x for x in lines
        if (x.kind, x.command, x.settings) == (line.kind, line.command, line.settings) and not x.noisy
    ]  # fmt: skip
    return same[-1] if same else None


def compared(then: Line, now: Line) -> Table:
    """Ratios of both runs side by side."""
    rows = []
    for name, (middle, low, high) in now.ratios.items():
        if name in then.ratios:
            before = then.ratios[name]
            apart = low > before[2] or high < before[1]
            change = f"{middle / before[0] - 1:+.0%}" if before[0] else ""
            rows.append([name, f"{before[0]:.2f}", f"{middle:.2f}", change, "outside of both spreads" if apart else ""])
    return Table(f"Since {then.at}, commit {then.commit}", ["", "then", "now", "change", ""], rows)
