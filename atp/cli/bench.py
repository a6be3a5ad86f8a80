"""``atp bench``: measures beside references and peers, with proof that nothing was oversold."""

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from cyclopts.validators import Number

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from atp.bench.report import Report
    from atp.bench.serving import Asked

_WIDTH = 180  # where there is no terminal to ask

_CONNECTIONS_MAX = 4_096


def _are_numbers(_: type, text: str) -> None:
    words = text.split(",")
    if not all(word.isascii() and word.isdigit() and 1 <= int(word) <= _CONNECTIONS_MAX for word in words):
        raise ValueError(f"numbers from 1 to {_CONNECTIONS_MAX} with commas between them are meant")


Seconds = Annotated[float, Parameter(validator=Number(gte=0.5, lte=600))]
Rounds = Annotated[int, Parameter(validator=Number(gte=1, lte=100))]
Count = Annotated[int, Parameter(validator=Number(gte=1, lte=10_000_000))]


@Parameter(name="*")
class Output:
    """What becomes of a run.

    Parameters
    ----------
    json
        Print one JSON document and nothing else.
    html
        Write a page with tables and plots that needs no other file.
    docs
        Write the tables into a Markdown page, between its markers.
    history
        Append a line of JSON to this file, and compare with the last run on a machine of this kind.
    budgets
        Compare the ratios with the bounds of this file.
    """

    def __init__(
        self,
        json: bool = False,
        html: Path | None = None,
        docs: Path | None = None,
        history: Path | None = None,
        budgets: Path | None = None,
    ) -> None:
        self.json, self.html, self.docs, self.history, self.budgets = json, html, docs, history, budgets


@Parameter(name="*")
class Load:
    """What is sent.

    Parameters
    ----------
    connections
        Numbers of connections, with commas between them; peers are measured at the first one.
    seconds
        How long a round lasts.
    rounds
        How often everything is measured in turn.
    skus
        How many skus are asked for in turn.
    rate
        Requests a second of an open loop: sent whatever comes back, latency counted from when each was due.
    peers
        all, none, or names with commas between them: files of the peers' folder.
    peers_dir
        The folder of peers; by default loadtests/peers of a checkout.
    """

    def __init__(
        self,
        connections: Annotated[str, Parameter(validator=_are_numbers)] = "64,256",
        seconds: Seconds = 3.0,
        rounds: Rounds = 3,
        skus: Annotated[int, Parameter(validator=Number(gte=1, lte=100_000))] = 1,
        rate: Annotated[float, Parameter(validator=Number(gte=0, lte=200_000))] = 0.0,
        peers: str = "all",
        peers_dir: Path | None = None,
    ) -> None:
        self.connections, self.seconds, self.rounds, self.skus = connections, seconds, rounds, skus
        self.rate, self.peers, self.peers_dir = rate, peers, peers_dir

    def asked(self, command: str) -> "Asked":
        """The measure of a command."""
        from atp.bench.peers import FOLDER
        from atp.bench.serving import Asked
        from atp.bench.subjects import OF

        connections = tuple(map(int, self.connections.split(",")))
        return Asked(
            OF[command], connections, self.seconds, self.rounds, self.skus, self.rate, self.peers,
            self.peers_dir or FOLDER,
        )  # fmt: skip


_LOAD, _OUTPUT = Load(), Output()


def reserve(*, load: Load = _LOAD, output: Output = _OUTPUT) -> int:
    """Reservations a second beside a bare echo, a framework's echo, and other ways to reserve a unit.

    Of a sku at one location, and of one at twelve with two protected channels. Servers of its own on free ports, with
    appendfsync always and everything on that belongs to a request; ingest and drain work meanwhile. Rounds alternate,
    so a slow minute of the machine meets all. Exit code 1 if a unit was sold twice or a budget is broken, 3 if the
    machine was too noisy for a verdict on rates, or there was one round.

    Example: atp bench reserve --connections 64 --rounds 3 --peers postgres_row_lock --html report.html
    """
    return _over_http("reserve", load, output)


def mixed(*, load: Load = _LOAD, output: Output = _OUTPUT) -> int:
    """A shop's mix: of twenty requests 16 look, 3 reserve and 1 confirms; and confirm and release by themselves.

    Example: atp bench mixed --connections 64 --seconds 2
    """
    return _over_http("mixed", load, output)


def availability(*, load: Load = _LOAD, output: Output = _OUTPUT) -> int:
    """Answers of availability: at one location, at twelve, unchanged (304), and of 500 skus at once.

    Example: atp bench availability --connections 64,256 --skus 10000
    """
    return _over_http("availability", load, output)


def standard(*, load: Load = _LOAD, output: Output = _OUTPUT) -> int:
    """The set of make bench: reserve with all peers, the mix and availability over HTTP, then ingest and ledger.

    Example: atp bench standard --seconds 2 --html bench.html
    """
    from atp.bench.run import standard

    return _ran(standard(load.asked("standard"), say), output)


def ingest(
    *,
    events: Count = 20_000,
    lines: Annotated[int, Parameter(validator=Number(gte=1, lte=1_000))] = 1,
    rounds: Rounds = 3,
    lag_rate: Count = 2_000,
    lag_seconds: Annotated[float, Parameter(validator=Number(gte=0, lte=600))] = 5.0,
    output: Output = _OUTPUT,
) -> int:
    """Stock events a second through the ledger, beside a consumer that only fetches and acknowledges.

    Example: atp bench ingest --lines 100

    Parameters
    ----------
    events
        Events of a round.
    lines
        Lines of an event.
    rounds
        How often everything is measured in turn.
    lag_rate
        Events a second while the time from event to answer is measured.
    lag_seconds
        For how long that is.
    """
    from atp.bench.ingest import Asked
    from atp.bench.run import of_ingest

    return _ran(of_ingest(Asked(events, lines, rounds, lag_rate, lag_seconds)), output)


def ledger(
    *,
    batch: Annotated[int, Parameter(validator=Number(gte=1, lte=512))] = 100,
    skus: Count = 10_000,
    locations: Annotated[list[int], Parameter(consume_multiple=True)] = [1, 12, 200],  # noqa: B006 - only read
    large: Annotated[int, Parameter(validator=Number(gte=0, lte=10_000_000))] = 0,
    commands: Count = 20_000,
    rounds: Rounds = 3,
    output: Output = _OUTPUT,
) -> int:
    """What commands cost the ledger's server, beside a plain INCR.

    Example: atp bench ledger --batch 100 --locations 1 12

    Parameters
    ----------
    batch
        Commands of a call.
    skus
        How many skus the rows of many skus have.
    locations
        Locations per sku, a row for each number.
    large
        Compare with a ledger of so many positions and reservations too, and say what it weighs; 0: not.
    commands
        Commands of a row.
    rounds
        How often all rows are measured.
    """
    from atp.bench.ledger.driving import Options
    from atp.bench.run import of_ledger

    options = Options(batch, skus, tuple(locations), large, commands=commands)
    return _ran(of_ledger(options, rounds, bool(large), say), output)


def rebuild(*, size: Count = 100_000, tail: Count = 50_000, dir: Path | None = None, output: Output = _OUTPUT) -> int:
    """How long a lost ledger is away: fill one, lose it, make it anew from the journal, compare.

    Example: atp bench rebuild --size 1000000 --dir /mnt/fast

    Parameters
    ----------
    size
        Positions, and open reservations.
    tail
        Entries behind the baseline of the second rebuild.
    dir
        Where the servers' data goes; by default a temporary folder.
    """
    from atp.bench.run import of_rebuild

    return _ran(of_rebuild(size, tail, dir), output)


def overload(
    *, connections: Count = 256, seconds: Seconds = 10.0, rounds: Rounds = 1, output: Output = _OUTPUT
) -> int:  # fmt: skip
    """More callers than can be served: what is still answered, who is refused, whether payments go through.

    Example: atp bench overload --connections 64 --seconds 10

    Parameters
    ----------
    connections
        Of the peak; rows have three and ten times as many.
    seconds
        How long a row lasts.
    rounds
        How often all rows are played.
    """
    from atp.bench.run import of_overload

    return _ran(of_overload(connections, seconds, rounds), output)


def _over_http(command: str, load: Load, output: Output) -> int:
    from atp.bench.run import over_http

    return _ran(over_http(command, load.asked(command), say), output)


def _ran(measuring: "Coroutine[Any, Any, Report]", output: Output) -> int:
    """Measure, write what was asked for, show, and give the exit code."""
    import msgspec
    import structlog
    import uvloop

    from atp.bench.ending import Wanted, judge, keep, ready

    wanted = Wanted(output.html, output.docs, output.history, output.budgets)
    try:
        known = ready(wanted)
    except Exception:
        measuring.close()
        raise
    # What servers and clients log of ends and beginnings is no part of a measure.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    report = uvloop.run(measuring)
    ending = judge(report, known)
    if output.json:
        shown = {"report": report, "verdict": ending.text, "code": ending.code, "tables": ending.tables}
        print(msgspec.json.encode(shown).decode())
    else:
        from rich.console import Console

        from atp.bench.screen import show

        show(report, ending, Console(width=None if sys.stdout.isatty() else _WIDTH))
    keep(report, wanted, ending)  # last: a disk that is full meanwhile does not take the figures with it
    return ending.code


def run(measuring: "Coroutine[Any, Any, Report]", as_json: bool) -> int:
    """Measure and show, for other programs."""
    return _ran(measuring, Output(json=as_json))


def say(text: str) -> None:
    """How far a run is, for who watches."""
    print(text, file=sys.stderr, flush=True)
