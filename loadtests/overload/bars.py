"""Bars: what a row has to show, what it showed, and whether that is enough."""

from msgspec import Struct

#: Of what is read under a flood: so much has to be answered well (R25).
READ_WELL = 0.90

#: Admitted requests wait no longer than this times those of an unloaded service.
P99_TIMES = 2.0

#: Of confirm and release, in every row.
PAYMENTS = 0.999

#: Service is as before so many seconds after the callers are gone.
RECOVERED_S = 2.0

#: How much longer others may wait while one client asks for fifty times its quota.
NEIGHBOUR = 1.20

#: The highest memory of the last half of a row ÷ that of the first.
FLAT = 1.05

#: A row says nothing where others on this machine had more than this part of it.
OTHERS = 0.10

#: Nor between peaks that differ by more: what was asked for in between, and held against, is no peak.
DRIFT = 0.15


class Bar(Struct):
    """One figure and its bar."""

    name: str
    figure: float | None  # None: it did not come within the time that was looked at
    bar: float
    at_least: bool = True
    met: bool = False

    def __post_init__(self) -> None:
        if self.figure is not None:
            self.met = self.figure >= self.bar if self.at_least else self.figure <= self.bar

    def __str__(self) -> str:
        figure = "never" if self.figure is None else f"{self.figure:.3f}"
        sign = "≥" if self.at_least else "≤"
        return f"{self.name:34}{figure:>8} {sign} {self.bar:<6g}{'met' if self.met else 'MISSED'}"


def at_most(name: str, figure: float | None, bar: float) -> Bar:
    """A figure that has to be low."""
    return Bar(name, figure, bar, at_least=False)
