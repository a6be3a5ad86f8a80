"""``atp bench``: measures beside references and peers, with proof that nothing was oversold."""

import logging
import sys
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from cyclopts.validators import Number

from atp.cli.errors import FAILED, Refused

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from atp.bench.report import Report

#: Neither well nor broken: the machine was too noisy to tell.
NO_VERDICT = 3

_WIDTH = 180  # where there is no terminal to ask

Seconds = Annotated[float, Parameter(validator=Number(gte=0.5, lte=600))]
Rounds = Annotated[int, Parameter(validator=Number(gte=1, lte=100))]
Skus = Annotated[int, Parameter(validator=Number(gte=1, lte=100_000))]
Rate = Annotated[float, Parameter(validator=Number(gte=0, lte=200_000))]


def reserve(
    *,
    connections: str = "64,256",
    seconds: Seconds = 3.0,
    rounds: Rounds = 3,
    skus: Skus = 1,
    rate: Rate = 0.0,
    peers: str = "all",
    json: bool = False,
) -> int:
    """Reservations a second beside a bare echo, a framework's echo, and other ways to reserve a unit.

    Starts servers of its own on free ports, with appendfsync always and everything on that belongs to a request, and
    ends them. Rounds alternate, so a slow minute of the machine meets all. Exit code 1 if a unit was sold twice, 3 if
    the machine was too noisy for a verdict.

    Example: atp bench reserve --connections 64 --seconds 3 --rounds 3 --peers postgres_row_lock

    Parameters
    ----------
    connections
        Numbers of connections, with commas between them; peers are measured at the first one.
    seconds
        How long a round lasts.
    rounds
        How often everything is measured in turn.
    skus
        How many skus are sold in turn.
    rate
        Requests a second of an open loop: sent whatever comes back, latency counted from when each was due.
    peers
        all, none, or names with commas between them: files of loadtests/peers.
    json
        Print one JSON document and nothing else.
    """
    return _over_http("reserve", connections, seconds, rounds, skus, rate, peers, json)


def _over_http(
    command: str, connections: str, seconds: float, rounds: int, skus: int, rate: float, peers: str, as_json: bool
) -> int:  # fmt: skip
    from atp.bench.run import over_http
    from atp.bench.serving import Asked
    from atp.bench.subjects import OF

    asked = Asked(OF[command], _numbers(connections), seconds, rounds, skus, rate, peers)
    return run(over_http(command, asked, say), as_json)


def run(measuring: "Coroutine[Any, Any, Report]", as_json: bool) -> int:
    """Measure, show, and give the exit code."""
    import structlog
    import uvloop

    # What servers and clients log of ends and beginnings is no part of a measure.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    return _told(uvloop.run(measuring), as_json)


def _told(report: "Report", as_json: bool) -> int:
    if as_json:
        import msgspec

        print(msgspec.json.encode(report).decode())
    else:
        from rich.console import Console

        from atp.bench.screen import show

        show(report, Console(width=None if sys.stdout.isatty() else _WIDTH))
    return 0 if report.ok else FAILED


def _numbers(text: str) -> tuple[int, ...]:
    try:
        found = tuple(int(word) for word in text.split(","))
    except ValueError:
        found = ()
    if not found or not all(1 <= number <= 4_096 for number in found):
        raise Refused(f"--connections {text}: numbers from 1 to 4096 with commas between them are meant")
    return found


def say(text: str) -> None:
    """How far a run is, for who watches."""
    print(text, file=sys.stderr, flush=True)
