"""Plots of a report as SVG."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from atp.bench.figures import GENERATOR, Ratio, Series
from atp.bench.report import Report
from atp.pages import INK, figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS = {"subject": "#1f6feb", "reference": "#8b98a9", "peer": "#d9822b"}


def all(report: Report) -> list[str]:
    """Every plot of a report, each an element of a page."""
    found = [_figure("Ratios: median, and lowest to highest round", _ratios, report.ratios)] if report.ratios else []
    for connections in dict.fromkeys(s.connections for s in report.series):
        series = [s for s in report.series if s.connections == connections]
        closed = [s for s in series if not s.open_rate]
        at = f" at {connections} connections" if connections else ""
        if closed:
            found.append(_figure(f"Requests a second{at}: median, and lowest to highest round", _rates, closed))
        if any(s.middle("p99_ms") for s in series):
            found.append(_figure(f"Latency{at}: p50, p99 and p99.9, ms", _latencies, series))
        if any(s.cpu_us() for s in closed):
            found.append(_figure(f"CPU a request{at} by process, µs", _cpu, closed))
    return found


def _figure(title: str, draw: Callable[["Axes", list[Any]], None], rows: list[Any]) -> str:
    def labelled(axes: "Axes") -> None:
        axes.set_yticks(range(len(rows)), [_label(row) for row in rows])
        axes.invert_yaxis()
        draw(axes, rows)

    return figure(title, 0.9 + 0.34 * len(rows), labelled)


def _label(row: Series | Ratio) -> str:
    sent = row.open_rate if isinstance(row, Series) else 0.0
    return f"{row.name}, {sent:,.0f}/s sent" if sent else row.name


def _ratios(axes: "Axes", ratios: list[Ratio]) -> None:
    for y, r in enumerate(ratios):
        apart = [[r.middle - min(r.values)], [max(r.values) - r.middle]]
        colour = "#c9a227" if r.noisy else "#1f6feb"
        axes.errorbar(r.middle, y, xerr=apart, fmt="o", color=colour, ecolor=colour, capsize=3)
        text = f"{r.middle:.2f}" + (f", {r.doubt}" if r.doubt else "")
        axes.annotate(text, (max(r.values), y), xytext=(6, 0), textcoords="offset points", va="center", fontsize=9)
    axes.axvline(1.0, color=INK, linewidth=1)
    axes.set_xscale("log")
    axes.margins(x=0.15, y=0.1)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.xaxis.set_minor_formatter("")


def _rates(axes: "Axes", series: list[Series]) -> None:
    for y, s in enumerate(series):
        rates = [r.rate for r in s.rounds]
        apart = [[s.rate - min(rates)], [max(rates) - s.rate]]
        axes.barh(y, s.rate, color=_COLOURS[s.role], xerr=apart, ecolor=INK, capsize=3, height=0.7)
        axes.annotate(f"{s.rate:,.0f}", (max(rates), y), xytext=(6, 0), textcoords="offset points", va="center")
    axes.margins(x=0.1)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")


def _latencies(axes: "Axes", series: list[Series]) -> None:
    for y, s in enumerate(series):
        p50, p99, p999 = (s.middle(name) for name in ("p50_ms", "p99_ms", "p999_ms"))
        axes.plot([p50, p99, p999], [y] * 3, color=_COLOURS[s.role], linewidth=2)
        axes.scatter([p50], [y], color=_COLOURS[s.role], marker="o", label="p50" if y == 0 else None)
        axes.scatter([p99], [y], color=_COLOURS[s.role], marker="D", label="p99" if y == 0 else None)
        axes.scatter([p999], [y], color=_COLOURS[s.role], marker="|", s=90, label="p99.9" if y == 0 else None)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.xaxis.set_minor_formatter("")
    axes.legend(loc="center left", frameon=False, bbox_to_anchor=(1, 0.5), fontsize=9)


def _cpu(axes: "Axes", series: list[Series]) -> None:
    served = dict.fromkeys(name for s in series for name in s.cpu_us() if name != GENERATOR)
    names = [*served, GENERATOR] if any(GENERATOR in s.cpu_us() for s in series) else list(served)
    lefts = [0.0] * len(series)
    for name in names:
        widths = [s.cpu_us().get(name, 0.0) for s in series]
        colour = "#d5dbe3" if name == GENERATOR else None
        axes.barh(range(len(series)), widths, left=lefts, label=name, height=0.7, color=colour)
        lefts = [left + width for left, width in zip(lefts, widths, strict=True)]
    axes.legend(loc="center left", frameon=False, bbox_to_anchor=(1, 0.5), fontsize=9)
