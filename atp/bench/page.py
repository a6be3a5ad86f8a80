"""A report as one HTML file that needs nothing else: tables, and plots as SVG inside it."""

from html import escape
from pathlib import Path

from atp.bench import plots
from atp.bench.machine import facts
from atp.bench.report import Report, Table, tables

NO_PLOTS = (
    "The page needs matplotlib for its plots. In a checkout, make install brings it (dependency group load); "
    "elsewhere: pip install matplotlib"
)

_STYLE = """
:root { color-scheme: light; font: 15px/1.45 system-ui, sans-serif; color: #1c2430; background: #fff }
body { max-width: 1180px; margin: 2rem auto; padding: 0 1.5rem }
h1 { font-size: 1.6rem; margin: 0 } h2 { font-size: 1.1rem; margin: 2.2rem 0 .5rem }
p.facts { color: #5b6675; font-size: .85rem }
p.verdict { display: inline-block; padding: .35rem .8rem; border-radius: .4rem; font-weight: 600; margin: 1rem 0 0 }
.holds { background: #e3f4e8; color: #14532d } .broken { background: #fde4e1; color: #8a1c12 }
.noisy { background: #fdf3d6; color: #6b4e00 }
.wide { overflow-x: auto }
table { border-collapse: collapse; font-size: .87rem; font-variant-numeric: tabular-nums }
th, td { padding: .28rem .7rem; text-align: right; border-bottom: 1px solid #e4e8ee; vertical-align: top }
th { color: #5b6675; font-weight: 600; white-space: nowrap }
td.words, th.words { text-align: left }
tr.broken td { color: #8a1c12; font-weight: 600 } tr.noisy td { color: #6b4e00 }
figure { margin: 1.2rem 0 } svg { max-width: 100%; height: auto }
"""


class NoPlots(Exception):
    """matplotlib is not installed."""


def require_plots() -> None:
    """Raises NoPlots; asked before a run, not after it."""
    from importlib.util import find_spec

    if find_spec("matplotlib") is None:
        raise NoPlots(NO_PLOTS)


def write(path: Path, report: Report, verdict: tuple[str, str], more: list[Table]) -> None:
    """``verdict`` is (class, text); ``more`` are tables that come first, as of budgets. Raises NoPlots."""
    require_plots()
    title = f"atp bench {report.command}"
    shown = [_table(table) for table in (*more, *tables(report))]
    skipped = [f"<p>Skipped: {escape(name)}: {escape(reason)}</p>" for name, reason in report.skipped.items()]
    notes = [f"<p>{escape(note)}</p>" for note in (*report.notes, *report.noise)]
    settings = ", ".join(f"{name} {value}" for name, value in report.settings.items())
    path.write_text(
        f"<!doctype html>\n<html lang=en><meta charset=utf-8><title>{title}</title>"
        f"<meta name=viewport content='width=device-width'><style>{_STYLE}</style>\n<h1>{title}</h1>\n"
        f"<p class=facts>{escape(report.at)} · commit {escape(report.commit or '(none)')} · {escape(settings)}<br>"
        f"{escape(facts(report.machine))}</p>\n<p class='verdict {verdict[0]}'>{escape(verdict[1])}</p>\n"
        + "\n".join([*plots.all(report), *shown, *skipped, *notes])
        + "\n</html>\n"
    )


def _table(table: Table) -> str:
    words = [table.words(number) for number in range(len(table.headings))]

    def cells(kind: str, texts: list[str]) -> str:
        return "".join(
            f"<{kind}{' class=words' if word else ''}>{escape(text)}</{kind}>"
            for word, text in zip(words, texts, strict=True)
        )

    def row(texts: list[str]) -> str:
        kind = " class=broken" if "BROKEN" in texts else " class=noisy" if "too noisy" in texts else ""
        return f"<tr{kind}>{cells('td', texts)}</tr>"

    rows = "\n".join(map(row, table.rows))
    head = f"<thead><tr>{cells('th', table.headings)}</tr></thead>"
    return f"<h2>{escape(table.title)}</h2><div class=wide><table>{head}<tbody>\n{rows}</tbody></table></div>"
