"""``atp demo``: a simulated promotion that checks itself."""

import asyncio
import logging
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from atp import config as settings_of
from atp.cli.errors import FAILED, explain
from atp.demo.settings import BUYERS_MAX, SECONDS_MAX, SKUS_MAX, UNITS_MAX, Settings

if TYPE_CHECKING:
    from rich.console import Console

    from atp.demo.report import Report
    from atp.demo.view import View

_DEFAULT = Settings()
_LINE_WIDTH = 160  # where there is no terminal to ask


def demo(
    *,
    state_dir: Path | None = None,
    seconds: Annotated[float, Parameter(validator=Number(gte=1, lte=SECONDS_MAX))] = _DEFAULT.seconds,
    skus: Annotated[int, Parameter(validator=Number(gte=10, lte=SKUS_MAX))] = _DEFAULT.skus,
    units: Annotated[int, Parameter(validator=Number(gte=1, lte=UNITS_MAX))] = _DEFAULT.units,
    buyers: Annotated[int, Parameter(validator=Number(gte=1, lte=BUYERS_MAX))] = _DEFAULT.buyers,
    seed: int = _DEFAULT.seed,
    port: int = _DEFAULT.port,
    json: bool = False,
) -> int:
    """Run a promotion on this machine, then prove that nothing was oversold, lost or stranded.

    Feeders send stock events over NATS and buyers shop over HTTP, and each keeps its own books; at the end they are
    compared with what the service, PostgreSQL and NATS say. Kill any process meanwhile: it must make no difference.
    Exit code 1 if any check fails.

    Example: atp demo --seconds 30 --buyers 128

    Parameters
    ----------
    state_dir
        Where the servers keep their state; what runs there already is used. By default a temporary one, removed after.
    seconds
        How long the sale lasts.
    skus
        Size of the range; four fifths of it are for sale.
    units
        Units for sale at the opening.
    buyers
        Buyers at the same time, one connection each.
    seed
        Makes the same retailer and the same choices again.
    port
        Port of the API, if it is started here.
    json
        Print one JSON document and nothing else.
    """
    asked = Settings(state_dir, seconds, skus, units, buyers, seed, port)
    return asyncio.run(_demo(asked, json))


async def _demo(asked: Settings, as_json: bool) -> int:
    import structlog
    from rich.console import Console

    from atp.demo.run import run

    # Outages are part of the show, and whoever is away is named in the report; the servers' own logs are files.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    console = Console(width=None if sys.stdout.isatty() else _LINE_WIDTH)
    running = asyncio.create_task(run(asked, settings_of.load(), _view(console, as_json)))
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, running.cancel)
    try:
        report = await running
    except asyncio.CancelledError:
        return 130
    except Exception as error:
        if (code := explain(error)) is None:
            raise
        return code
    _print(report, console, as_json)
    return 0 if report.ok else FAILED


def _view(console: "Console", as_json: bool) -> "View":
    from atp.demo.view import Lines, Screen, Silence

    if as_json:
        return Silence()
    return Screen(console) if sys.stdout.isatty() else Lines(console)


def _print(report: "Report", console: "Console", as_json: bool) -> None:
    import msgspec

    from atp.demo.report import show

    if as_json:
        print(msgspec.json.encode(report).decode())
    else:
        show(report, console)
