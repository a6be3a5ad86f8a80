"""People at a sale (docs/guides/load-tests.md): ``locust -f loadtests/locustfile.py --endpoints .atp/endpoints.json``.

``python -m loadtests.people`` starts a service of its own first. A run ends with a proof, and fails without it.
"""

import logging
import sys
from pathlib import Path
from typing import Any

import locust.stats
from locust import events
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.runners import LocalRunner
from rich.console import Console

sys.path.insert(0, str(Path(__file__).parent.parent))

from loadtests.people import conservation, floor
from loadtests.people.bot import Bot
from loadtests.people.marketplace import Marketplace
from loadtests.people.operator import Operator
from loadtests.people.shapes import PATTERNS, Crowd
from loadtests.people.shopper import Shopper

__all__ = ["Bot", "Crowd", "Marketplace", "Operator", "Shopper"]

#: Who is in the middle of something when the sale ends finishes it, so that the books are whole.
_FINISH_S = 60
_WIDTH = 120
_HIDDEN: dict[str, Any] = {"include_in_web_ui": False}

locust.stats.PERCENTILES_TO_STATISTICS = locust.stats.PERCENTILES_TO_CHART = [0.5, 0.99, 0.999]


_ALONE = "The books of a sale are kept by one process: no --processes, --master or --worker here."
if any(word.startswith(("--processes", "--master", "--worker")) for word in sys.argv):
    raise SystemExit(_ALONE)  # before locust forks: its children would look for a master for minutes


@events.init_command_line_parser.add_listener
def _options(parser: LocustArgumentParser) -> None:
    parser.add_argument("--endpoints", default=".atp/endpoints.json", help="what `atp dev` wrote", **_HIDDEN)
    parser.add_argument("--report", default="", help="file for the report as JSON", **_HIDDEN)
    parser.add_argument("--shape", choices=list(PATTERNS), default="steady", help="who comes when")
    parser.add_argument("--people", type=int, default=0, help="at their highest; 0: the shape's own")
    parser.add_argument("--arrivals", type=float, default=0.0, help="of people a second; 0: the shape's own")
    parser.add_argument("--seconds", type=float, default=0.0, help="of the sale; 0: the shape's own")
    parser.add_argument("--skus", type=int, default=400, help="size of the range")
    parser.add_argument("--units", type=int, default=20_000, help="for sale at the opening; receipts come on top")
    parser.add_argument("--seed", type=int, default=1, help="makes the same retailer and choices")
    parser.add_argument("--pay-seconds", type=float, default=1.0, help="mean time between reserve and confirm")
    parser.add_argument("--beat-seconds", type=float, default=5.0, help="of a thundering retry")


@events.init.add_listener
def _prepare(environment: Environment, **_: object) -> None:
    if not isinstance(environment.runner, LocalRunner):
        raise SystemExit(_ALONE)
    environment.stop_timeout = environment.stop_timeout or _FINISH_S
    environment.catch_exceptions = True


@events.test_start.add_listener
def _open(environment: Environment, **_: object) -> None:
    assert environment.parsed_options
    try:
        opened = floor.Floor(environment.parsed_options)
    except (OSError, ValueError, floor.OfficeClosed) as problem:
        raise SystemExit(f"The shop does not open: {problem or 'see above'}") from problem
    environment.host = opened.endpoints.api
    floor.enter(opened)


@events.quitting.add_listener
def _end(environment: Environment, **_: object) -> None:
    assert environment.runner
    environment.runner.stop()  # who is interrupted proves what was sold, before the exit code is chosen


@events.test_stop.add_listener
def _close(environment: Environment, **_: object) -> None:
    options = environment.parsed_options
    assert options
    if not floor.is_open():
        return
    shop = floor.now()
    environment.process_exit_code = 1  # unless proven
    try:
        found = conservation.outcome(environment, shop.tally, shop.close())
    except floor.OfficeClosed:
        logging.getLogger(__name__).error("The back office ended without a proof.")
        return
    finally:
        floor.enter(None)
    conservation.show(found, Console(stderr=True, width=None if sys.stderr.isatty() else _WIDTH))
    if options.report:
        conservation.keep(found, options.report)
    environment.process_exit_code = 0 if found.ok else 1
