"""Pages: a report as one HTML file that needs nothing else, with tables, and plots as SVG inside it."""

from collections.abc import Callable, Iterable, Sequence
from html import escape
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NO_PLOTS = (
    "The page needs matplotlib for its plots. In a checkout, make install brings it (dependency group load); "
    "elsewhere: pip install matplotlib"
)

#: Headings of columns whose texts may begin with a figure.
TEXTS = {"CPU, µs a request", "figures", "phases", "why"}

#: Of plots: ink and lines follow the reader's light or dark page.
INK, LINES = "#000000", "#e4e8ee"

#: How a report ended: the colour of its verdict.
Verdict = Literal["holds", "broken", "noisy"]
#: How one finding ended; `table` lets the latter two stand out.
State = Literal["holds", "BROKEN", "too noisy"]

_STYLE = """
:root { color-scheme: light dark; font: 15px/1.45 system-ui, sans-serif; --ink: #1c2430; --quiet: #5b6675;
  --line: #e4e8ee; --paper: #fff; --good: #14532d; --well: #e3f4e8; --bad: #8a1c12; --ill: #fde4e1; --odd: #6b4e00;
  --dim: #fdf3d6; color: var(--ink); background: var(--paper) }
@media (prefers-color-scheme: dark) { :root { --ink: #e2e7ee; --quiet: #98a4b3; --line: #333b46; --paper: #14181d;
  --good: #9be3b3; --well: #173622; --bad: #ffb4aa; --ill: #4a1a16; --odd: #f0d58c; --dim: #3c3214 } }
body { max-width: 1180px; margin: 2rem auto; padding: 0 1.5rem }
h1 { font-size: 1.6rem; margin: 0 } h2 { font-size: 1.1rem; margin: 2.2rem 0 .5rem }
p.facts { color: var(--quiet); font-size: .85rem; overflow-wrap: anywhere }
p.verdict { display: inline-block; padding: .35rem .8rem; border-radius: .4rem; font-weight: 600; margin: 1rem 0 0 }
.holds { background: var(--well); color: var(--good) } .broken { background: var(--ill); color: var(--bad) }
.noisy { background: var(--dim); color: var(--odd) }
.wide, figure { overflow-x: auto }
table { border-collapse: collapse; font-size: .87rem; font-variant-numeric: tabular-nums }
th, td { padding: .28rem .7rem; text-align: right; border-bottom: 1px solid var(--line); vertical-align: top }
td { white-space: nowrap } td.words { white-space: normal }
th { color: var(--quiet); font-weight: 600; white-space: nowrap }
td.words, th.words { text-align: left } td.words { min-width: 4.5rem } td.words:first-child { min-width: 9.5rem }
td.words:last-child { min-width: 12rem }
tr.broken td { font-weight: 600 }
figure { margin: 1.2rem 0 } svg { max-width: 100%; min-width: 44rem; height: auto } svg text { fill: currentColor }
@media (max-width: 40rem) { body { margin: 1rem auto; padding: 0 1rem } }
"""


class NoPlots(Exception):
    """matplotlib is not installed."""


class Unwritable(Exception):
    """There can be no file of this name."""


class Table(Struct):
    """Figures under headings, as texts."""

    title: str
    headings: list[str]
    rows: list[list[str]]

    def words(self, column: int) -> bool:
        """Whether a column is read as text, and so begins at the left."""
        texts = [row[column] for row in self.rows if row[column]]
        return column == 0 or self.headings[column] in TEXTS or all(text[0].isalpha() for text in texts)


def must_hold(found: Iterable[tuple[str, State, str]]) -> Table:
    """What every page says of its proof: a name, whether it holds, and the figures."""
    return Table("What must hold", ["", "", "figures"], [list(row) for row in found])


def ready_for(path: Path) -> None:
    """Whether a page can be drawn and written there, asked before a run. Raises NoPlots, Unwritable."""
    _require_plots()
    require_writable(path)


def require_writable(path: Path) -> None:
    """Whether a file can be made or continued there, asked before a run. Raises Unwritable."""
    there = path.exists()
    try:
        path.open("ab").close()  # nothing less tells it: not of every file system, nor to root
    except OSError as error:
        raise Unwritable(f"{path} cannot be written: {error.strerror or error}") from None
    if not there:
        path.unlink()


def _require_plots() -> None:
    if find_spec("matplotlib") is None:
        raise NoPlots(NO_PLOTS)


def write(
    path: Path, title: str, facts: Sequence[str], verdict: tuple[Verdict, str], parts: Sequence[str]
) -> None:  # fmt: skip
    """A `page` into its file. Raises Unwritable."""
    try:
        path.write_text(page(title, facts, verdict, parts))
    except OSError as error:
        raise Unwritable(f"{path} could not be written: {error.strerror or error}") from None


def page(title: str, facts: Sequence[str], verdict: tuple[Verdict, str], parts: Sequence[str]) -> str:
    """The whole page; ``facts`` are texts, a line each, ``parts`` are elements."""
    lines = "<br>".join(map(escape, facts))
    return (
        f"<!doctype html>\n<html lang=en><meta charset=utf-8><title>{escape(title)}</title>"
        f"<meta name=viewport content='width=device-width'><style>{_STYLE}</style>\n<h1>{escape(title)}</h1>\n"
        f"<p class=facts>{lines}</p>\n<p class='verdict {verdict[0]}'>{escape(verdict[1])}</p>\n"
        + "\n".join(parts)
        + "\n</html>\n"
    )


def paragraph(text: str) -> str:
    """One, of plain text."""
    return f"<p>{escape(text)}</p>"


def table(shown: Table) -> str:
    """A table; rows with a cell BROKEN or too noisy stand out."""
    words = [shown.words(number) for number in range(len(shown.headings))]

    def cells(kind: str, texts: list[str]) -> str:
        return "".join(
            f"<{kind}{' class=words' if word else ''}>{escape(text)}</{kind}>"
            for word, text in zip(words, texts, strict=True)
        )

    def row(texts: list[str]) -> str:
        kind = " class=broken" if "BROKEN" in texts else " class=noisy" if "too noisy" in texts else ""
        return f"<tr{kind}>{cells('td', texts)}</tr>"

    rows = "\n".join(map(row, shown.rows))
    head = f"<thead><tr>{cells('th', shown.headings)}</tr></thead>"
    return f"<h2>{escape(shown.title)}</h2><div class=wide><table>{head}<tbody>\n{rows}</tbody></table></div>"


def figure(title: str, height: float, draw: Callable[["Axes"], None]) -> str:
    """A plot of ``height`` inches, without any state of matplotlib's own. Raises NoPlots."""
    _require_plots()
    import matplotlib
    from matplotlib.figure import Figure

    # Text stays text, drawn with the reader's font.
    with matplotlib.rc_context({"svg.fonttype": "none", "font.family": "sans-serif", "svg.hashsalt": title}):
        made = Figure(figsize=(11, height), layout="constrained")
        axes = made.subplots()
        axes.set_title(title, loc="left", fontsize=11, fontweight="bold")
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="x", color=LINES)
        axes.set_axisbelow(True)
        draw(axes)
        text = StringIO()
        made.savefig(text, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    drawn = text.getvalue()[text.getvalue().index("<svg") :].replace(INK, "currentColor").replace(LINES, "var(--line)")
    return f"<figure>{drawn}</figure>"
