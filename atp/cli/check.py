"""``atp check``: the ledger against itself, the journal and the sources."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec

from atp import config as settings
from atp.cli.client import find_stores
from atp.cli.errors import FAILED, Misused
from atp.cli.output import note, run_once, watched

if TYPE_CHECKING:
    from atp.check import Finding, Progress
    from atp.journal import Run

_SHOWN = 100


def check(*, repair: bool = False, share: float = 10.0, resume: int = 0, json_: bool = False) -> int:
    """Compare every counter with its records, the ledger with the journal, and numbers with what the sources said.

    Everybody may go on writing meanwhile. What differs becomes an exception `drift` and the exit code is 1, unless it
    was repaired. Needs ATP_REDIS_URL and ATP_DATABASE_URL, or the `atp dev` of this folder; `atp drain` must run.

    Example: atp check --repair

    Parameters
    ----------
    repair
        Make counters what their records say, and put back what only the journal has; each repair is journaled.
    share
        Percent of the ledger's time that it may take.
    resume
        Go on with this check, which was cut off.
    json_
        Print as JSON.
    """
    if not 0.1 <= share <= 100:
        raise Misused("--share is 0.1 to 100 percent")
    config = find_stores(settings.load())
    return run_once(config, _check(config, repair, share / 100, resume, json_))


async def _check(config: settings.Config, repair: bool, share: float, id: int, as_json: bool) -> int:
    from atp.check import Checker, Finding, Settings
    from atp.wiring import open_journal, open_ledger

    async with open_journal(config) as journal, open_ledger(config, journal) as ledger:
        id = id or await journal.checking.request("atp check", repair=repair, share=share)
        with _watched(id, quiet=as_json) as watch:
            run = await Checker(ledger, journal, Settings()).check(id, watch)
        bodies = await journal.checking.findings(id, 1_000_000 if as_json else _SHOWN)
    findings = [msgspec.json.decode(body, type=Finding) for body in bodies]
    _tell(run, findings, as_json)
    return FAILED if run.found > run.repaired else 0


@contextmanager
def _watched(id: int, *, quiet: bool) -> "Iterator[Callable[[Progress], None]]":
    figures = "{task.fields[looked]:,} records, {task.fields[found]:,} differences"
    with watched(f"check {id}", 1.0, figures, quiet=quiet, looked=0, found=0) as move:
        yield lambda p: move(completed=p.done, description=f"check {id}, {p.stage}", looked=p.looked, found=p.found)


def _tell(run: "Run", findings: "list[Finding]", as_json: bool) -> None:
    if as_json:
        told = {"id": str(run.id), "looked": run.looked, "found": run.found, "repaired": run.repaired}
        print(msgspec.json.encode(told | {"findings": findings}).decode())
        return
    for finding in findings:
        about = " ".join(part for part in finding.subject if part)
        print(f"{about or 'customers'}: {finding.evidence}{' (repaired)' if finding.repaired else ''}")
    if run.found > len(findings):
        print(f"and {run.found - len(findings):,} more: atp check shows them all with --json")
    print(f"check {run.id}: {run.looked:,} records looked at, {run.found:,} differences, {run.repaired:,} repaired")
    if run.found > run.repaired:
        note("What is left is among the exceptions: atp exceptions list --kind drift")
