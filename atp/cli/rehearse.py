"""``atp rehearse``: a campaign played on a copy of today's stock."""

import asyncio
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from atp import config as settings_of
from atp.cli.client import find_stores
from atp.cli.errors import FAILED
from atp.cli.output import note
from atp.rehearsal.settings import BUYERS_MAX, SECONDS_MAX, WINDOW_MAX, Settings

_DEFAULT = Settings()


def rehearse(
    campaign: str,
    *,
    buyers: Annotated[int, Parameter(validator=Number(gte=1, lte=BUYERS_MAX))] = _DEFAULT.buyers,
    seconds: Annotated[float, Parameter(validator=Number(gte=0.1, lte=SECONDS_MAX))] = _DEFAULT.seconds,
    window_seconds: Annotated[float, Parameter(validator=Number(gte=1, lte=WINDOW_MAX))] = _DEFAULT.window_seconds,
    seed: int = _DEFAULT.seed,
    conversion: Annotated[float, Parameter(validator=Number(gte=0, lte=1))] = _DEFAULT.conversion,
    bots: Annotated[float, Parameter(validator=Number(gte=0, lte=1))] = _DEFAULT.bots,
    recording: Path | None = None,
    worker_rate: Annotated[int, Parameter(validator=Number(gte=1, lte=1_000_000))] = _DEFAULT.worker_rate,
    json_: bool = False,
) -> int:
    """Play a campaign on a copy of today's stock and policies, and say how it will go.

    The copy is made of the journal and kept on a server of its own, an embedded one or that of
    ATP_REHEARSAL_REDIS_URL; the live ledger is asked where it stands, and nothing else. Exit code 1 if a unit is
    unaccounted for. Needs ATP_REDIS_URL and ATP_DATABASE_URL, or the `atp dev` of this folder; `atp drain` must run.

    Example: atp rehearse bf-2026 --buyers 20000 --window-seconds 600

    Parameters
    ----------
    campaign
        Its id. In the copy its window is moved to now.
    buyers
        Visits in all, bots' repeats included.
    seconds
        How long the rehearsal plays.
    window_seconds
        How long the sale is that it stands for: holds and payments are that much quicker here.
    seed
        Makes the same visits again.
    conversion
        Share of people with a hold who pay; of the others a third gives back, and the rest just leaves.
    bots
        Share of visitors who come first, take the most they may, ask again when refused, and never pay.
    recording
        Play the requests of this file instead: JSON objects, one a line, with at, lines, customer, then, after.
    worker_rate
        Requests a second that one API process of yours answers.
    json_
        Print one JSON document and nothing else.
    """
    asked = Settings(buyers, seconds, window_seconds, seed, conversion, bots, recording, worker_rate)
    return asyncio.run(_rehearse(campaign, asked, find_stores(settings_of.load()), json_))


async def _rehearse(campaign: str, asked: Settings, config: settings_of.Config, as_json: bool) -> int:
    import msgspec
    from rich.console import Console

    from atp.cli.logs import configure
    from atp.rehearsal.report import show
    from atp.rehearsal.run import rehearse

    configure(msgspec.structs.replace(config, log_level="warning"))  # a copy is no rebuild that anybody waits for
    report = await rehearse(campaign, asked, config, (lambda _: None) if as_json else note)
    if as_json:
        print(msgspec.json.encode(report).decode())
    else:
        show(report, Console())
    return 0 if report.ok else FAILED
