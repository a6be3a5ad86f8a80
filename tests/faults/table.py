"""docs/reference/faults.md: what soak runs showed, a line per fault; faults of earlier runs keep their lines."""

import re
import subprocess
from pathlib import Path
from statistics import median

from msgspec import Struct

from .checkers.violation import SORTS
from .plants.points import POINTS
from .sale import Outcome

PAGE = Path(__file__).parents[2] / "docs/reference/faults.md"

_HEAD = """\
# Faults

What the service showed under faults of its processes, disks, memory, clocks and networks: written by
`make soak ARGS=tests/faults` (see [tests/faults](../../tests/faults)), which runs each of them again and again under a
sale and then compares what callers were told with the ledger, the journal and the events on NATS.

*Runs* of the fault under one sale. *Acknowledged* operations of buyers and stock events. *Lost*: acknowledged and not
kept; *doubled*: kept, or told, more than once; *oversold*: positions that promised more than there was, after any
entry; *stranded*: holds that did not end; *wrong*: any other contradiction, also an order of events that nothing
explains. *Resolved*: operations whose fate was unknown for a while and then learned by a repeat. *Serving* and
*caught up*: median and longest time from the fault's end until buyers were served, and until journal, events and stock
had no backlog, in seconds; looked at every 50 ms, on two cores that had a load average of 2 to 30 by other work. A
process of ours or a ledger that was killed is started at the fault's end, so the time it needs to start is part of
both; NATS and PostgreSQL have returned when they answer. *At*: the commit that was run. A fault that the machine cannot
have (no root, no strace, no compiler) has a line that says so, with 0 runs.

| Fault | Runs | Acknowledged | Lost | Doubled | Oversold | Stranded | Wrong | Resolved | Serving | Caught up | At |
|---|---|---|---|---|---|---|---|---|---|---|---|
"""
_ROW = re.compile(r"^\| (?!Fault)(?!-)([^|]+?) \|.*$", re.MULTILINE)


class Tally(Struct):
    """The lines, by fault; those that could not be run say why."""

    rows: dict[str, str] = {}

    def add(self, name: str, runs: int, outcome: Outcome) -> None:
        """What a sale under one fault showed."""
        sorts = [f"{outcome.by_sort[sort]}" for sort in SORTS]
        serving = _times([recovery.serving for recovery in outcome.recoveries])
        caught_up = _times([recovery.caught_up for recovery in outcome.recoveries])
        counts = [f"{runs}", f"{outcome.acknowledged:,}", *sorts, f"{outcome.resolved:,}"]
        cells = [name, *counts, serving, caught_up, commit()]
        self.rows[name] = f"| {' | '.join(cells)} |"

    def skip(self, name: str, reason: str) -> None:
        """A fault that this machine cannot have."""
        self.rows[name] = f"| {name} | 0: {reason} |{' |' * 10}"

    def write(self, page: Path = PAGE) -> None:
        """Put the new lines in the place of the old ones."""
        if not self.rows:
            return
        known = {row[1]: row[0] for row in _ROW.finditer(page.read_text())} if page.exists() else {}
        page.write_text(_HEAD + "\n".join((known | self.rows).values()) + "\n" + _points())


def _points() -> str:
    lines = [f"- {point.process or 'a rebuild'}: {point.name}" for point in POINTS]
    return (
        "\n## Named points\n\nOne run dies at one of them, the next run at the next one.\n\n" + "\n".join(lines) + "\n"
    )


def commit() -> str:
    """What is checked out, with a + when files other than the table were changed."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(PAGE.parents[2]), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no", "--", ":/", f":(exclude){PAGE}")
    return git("rev-parse", "--short", "HEAD") + ("+" if changed else "")


def _times(seconds: list[float]) -> str:
    return f"{median(seconds):.1f}, {max(seconds):.1f}" if seconds else ""
