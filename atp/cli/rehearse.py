"""``atp rehearse``: a campaign played on a copy of today's stock."""

import asyncio
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from atp import config as settings_of
from atp.cli.client import find_stores
from atp.cli.errors import FAILED, Misused
from atp.cli.output import note, watched
from atp.rehearsal.settings import BUYERS_MAX, SECONDS_MAX, WINDOW_MAX, Settings

_DEFAULT = Settings()


def rehearse(
    campaign: str,
    *,
    buyers: Annotated[int, Parameter(validator=Number(gte=1, lte=BUYERS_MAX))] = _DEFAULT.buyers,
    seconds: Annotated[float, Parameter(validator=Number(gte=0.1, lte=SECONDS_MAX))] = _DEFAULT.seconds,
    window_seconds: Annotated[float | None, Parameter(validator=Number(gte=1, lte=WINDOW_MAX))] = None,
    seed: int = _DEFAULT.seed,
    conversion: Annotated[float, Parameter(validator=Number(gte=0, lte=1))] = _DEFAULT.conversion,
    bots: Annotated[float, Parameter(validator=Number(gte=0, lte=1))] = _DEFAULT.bots,
    recording: Path | None = None,
    from_: str = "",
    worker_rate: Annotated[int, Parameter(validator=Number(gte=1, lte=1_000_000))] = _DEFAULT.worker_rate,
    html: Path | None = None,
    json_: bool = False,
) -> int:
    """Play a campaign on a copy of today's stock and policies, and say how it will go.

    The copy is made of the journal and kept on a server of its own, an embedded one or that of
    ATP_REHEARSAL_REDIS_URL; the live ledger is asked where it stands, and nothing else. Exit code 1 if a unit is
    unaccounted for. Needs ATP_REDIS_URL and ATP_DATABASE_URL, or the `atp dev` of this folder; `atp drain` must run.

    Example: atp rehearse bf-2026 --buyers 20000 --html rehearsal.html

    Parameters
    ----------
    campaign
        Its id. In the copy its window is moved to now.
    buyers
        Visits in all, bots' repeats included.
    seconds
        How long the rehearsal plays.
    window_seconds
        How long the sale is that it stands for: holds and payments are that much quicker here. By default 600, or as
        long as the recorded sale.
    seed
        Makes the same visits again.
    conversion
        Share of people with a hold who pay; of the others a third gives back, and the rest just leaves.
    bots
        Share of visitors who come first, take the most they may, ask again when refused, and never pay.
    recording
        Play the requests of this file instead: JSON objects, one a line, with at, lines, customer, then, after.
    from_
        Play the sales of this earlier campaign instead, as the journal has them: who got units, not who was refused.
    worker_rate
        Requests a second that one API process of yours answers.
    html
        Write a page with a plot and tables that needs no other file.
    json_
        Print one JSON document and nothing else.
    """
    if recording and from_:
        raise Misused("--recording and --from are two sales: choose one")
    asked = Settings(buyers, seconds, window_seconds or 0.0, seed, conversion, bots, recording, from_, worker_rate)
    return asyncio.run(_rehearse(campaign, asked, find_stores(settings_of.load()), html, json_))


async def _rehearse(
    campaign: str, asked: Settings, config: settings_of.Config, html: Path | None, as_json: bool
) -> int:
    import msgspec
    from rich.console import Console

    from atp.cli.logs import configure
    from atp.pages import ready_for
    from atp.rehearsal import page
    from atp.rehearsal.report import show
    from atp.rehearsal.run import rehearse

    if html:
        ready_for(html)
    configure(msgspec.structs.replace(config, log_level="warning"))  # a copy is no rebuild that anybody waits for
    with watched(f"rehearsing {campaign}", 1.0, quiet=as_json) as move:
        said = ""

        def say(text: str, share: float) -> None:
            nonlocal said
            if text != said and not as_json:
                note(text)
            said = text
            move(completed=share)

        report = await rehearse(campaign, asked, config, say)
    if as_json:
        print(msgspec.json.encode(report).decode())
    else:
        show(report, Console())
    if html:
        page.write(html, report)  # last: a disk that is full meanwhile does not take the rehearsal with it
    return 0 if report.ok else FAILED
