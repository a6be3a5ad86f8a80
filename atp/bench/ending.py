"""What is made of a finished run: a verdict, and the files that were asked for."""

from pathlib import Path

from msgspec import Struct

from atp.bench import budgets, docs, history, page
from atp.bench.budgets import Budget
from atp.bench.history import Line
from atp.bench.report import SINGLE_ROUND, Report
from atp.pages import Table, Verdict, ready_for, require_writable

#: Exit codes. Of the three, a broken promise counts more than noise.
WELL, BROKEN, NO_VERDICT = 0, 1, 3

_WORDS: dict[int, Verdict] = {WELL: "holds", BROKEN: "broken", NO_VERDICT: "noisy"}


class Wanted(Struct, frozen=True):
    """Files to read and write; None: not that."""

    html: Path | None = None
    docs: Path | None = None
    history: Path | None = None
    budgets: Path | None = None


class Ready(Struct):
    """What was read before the run, so that a mistake in a file costs no minutes."""

    budgets: list[Budget]
    lines: list[Line]


class Ending(Struct):
    """The verdict, and the tables that belong to it."""

    code: int
    text: str
    tables: list[Table]


def ready(wanted: Wanted) -> Ready:
    """Read what the end needs. Raises BadBudgets, BadHistory, NoMarkers, NoPlots, Unwritable."""
    for path in filter(None, (wanted.docs, wanted.history)):
        require_writable(path)
    if wanted.html:
        ready_for(wanted.html)
    if wanted.docs:
        docs.parts(wanted.docs)
    return Ready(
        budgets.read(wanted.budgets) if wanted.budgets else [], history.read(wanted.history) if wanted.history else []
    )


def judge(report: Report, known: Ready) -> Ending:
    """Compare with the budgets and with the last run like this one."""
    verdicts = budgets.judge(report, known.budgets)
    found = [budgets.table(verdicts)] if any(v.found for v in verdicts) else []
    line = history.line_of(report)
    if then := history.last_like(known.lines, line):
        found.append(history.compared(then, line))
    code, text = _verdict(report, [v.budget.ratio for v in verdicts if v.state == "BROKEN"])
    return Ending(code, text, found)


def keep(report: Report, wanted: Wanted, ending: Ending) -> None:
    """Write the files that were asked for. Raises Unwritable."""
    if wanted.history:
        history.append(wanted.history, history.line_of(report))
    if wanted.docs:
        docs.write(wanted.docs, report)
    if wanted.html:
        page.write(wanted.html, report, (_WORDS[ending.code], ending.text), ending.tables)


def _verdict(report: Report, over: list[str]) -> tuple[int, str]:
    if report.broken:
        return BROKEN, f"Broken: {'; '.join(report.broken)}"
    if over:
        return BROKEN, f"Over budget: {'; '.join(over)}"
    if report.noisy:
        why = SINGLE_ROUND if report.noise == [SINGLE_ROUND] else "this machine is too noisy now"
        return NO_VERDICT, f"Everything held that must. Of rates there is no verdict: {why}"
    return WELL, "Everything held that must, and the rounds agree"
