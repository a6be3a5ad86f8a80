"""A rehearsal as one HTML file that needs nothing else."""

from pathlib import Path
from typing import TYPE_CHECKING

from atp import pages
from atp.pages import INK, Table, must_hold
from atp.rehearsal.report import Report, about, outcome, skus, verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Columns of the plot: seconds of the sale are put together to so many at most.
_COLUMNS = 200


def write(path: Path, found: Report) -> None:
    """Raises NoPlots, Unwritable."""
    tables = [
        skus(found),
        Table("Suggested", ["", "", "why"], [[each.name, each.value, each.why] for each in found.advice]),
        must_hold((c.name, "holds" if c.ok else "BROKEN", "; ".join([c.detail, *c.offenders])) for c in found.checks),
    ]
    parts = [_plot(found), *map(pages.paragraph, outcome(found)), *map(pages.table, tables)]
    live = ", ".join(f"{name} {text}" for name, text in found.live.items())
    ending = ("holds" if found.ok else "broken", verdict(found))
    pages.write(path, f"atp rehearse {found.campaign}", about(found), ending, [*parts, pages.paragraph(live)])


def _plot(found: Report) -> str:
    """Requests, and how many of them got units: where the two part, the sale is sold out."""
    width = max(1, -(-max((second for second, *_ in found.timeline), default=0) // _COLUMNS))
    columns: dict[int, tuple[int, int]] = {}
    for second, requests, granted in found.timeline:
        before = columns.get(second // width, (0, 0))
        columns[second // width] = (before[0] + requests, before[1] + granted)

    def draw(axes: "Axes") -> None:
        at = [column * width / 60 for column in columns]
        for number, (label, colour) in enumerate((("requests", "#8b98a9"), ("holds granted", "#1f6feb"))):
            rates = [counts[number] / width for counts in columns.values()]
            axes.bar(at, rates, width / 60, align="edge", color=colour, label=label)
        if found.sell_out_s is not None:
            axes.axvline(found.sell_out_s / 60, color=INK, linewidth=1)
            axes.annotate("sold out", (found.sell_out_s / 60, 1), xycoords=("data", "axes fraction"), xytext=(4, -10),
                          textcoords="offset points", fontsize=9)  # fmt: skip
        axes.set_xlabel("minutes of the sale")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axes.legend(loc="center left", frameon=False, bbox_to_anchor=(1, 0.5), fontsize=9)

    # A column of several seconds is lower than the busiest of them, which the text below names.
    return pages.figure(f"Requests a second, in columns of {width} s" if width > 1 else "Requests a second", 3.2, draw)
