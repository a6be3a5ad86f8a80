"""The list of commands. Each imports the rooms it runs when it runs, so that ``atp --help`` is quick."""

import os
import select
import sys
from collections.abc import Callable, Sequence

from cyclopts import App, CycloptsError, Group, Parameter

from atp import __version__
from atp.cli import bench, config, dlq, exceptions, keys, mapping, source
from atp.cli.baseline import baseline
from atp.cli.check import check
from atp.cli.demo import demo
from atp.cli.dev import dev
from atp.cli.drain import drain
from atp.cli.errors import USAGE, explain
from atp.cli.explain import explain as explain_sku
from atp.cli.history import audit, history, reservations
from atp.cli.ingest import ingest
from atp.cli.migrate import migrate
from atp.cli.promote import promote
from atp.cli.rebuild import rebuild
from atp.cli.rehearse import rehearse
from atp.cli.serve import serve
from atp.cli.version import version

_TRY, _RUN, _LOOK, _KEEP, _SET_UP = map(
    Group.create_ordered, ("Try it here", "Run the service", "Look", "Keep it right", "Set up")
)
#: As a shell tells of a program that wrote to a closed pipe, or was interrupted: 128 + the signal's number.
_PIPE, _INTERRUPTED = 141, 130


def build() -> App:
    """The whole command line."""
    app = App(
        name="atp",
        help="Available-to-promise and reservations for retail.\n\nStart with: atp dev",
        version=__version__,
        help_format="markdown",
        default_parameter=Parameter(negative=(), show_default=_default),  # no --no-json
    )
    app["--help"].group = app["--version"].group = _SET_UP
    for group, commands in (
        (_TRY, (dev, demo, rehearse)),
        (_RUN, (serve, ingest, drain, migrate)),
        (_LOOK, (explain_sku, reservations, history, audit)),
        (_KEEP, (check, rebuild, baseline, promote)),
        (_SET_UP, (version,)),
    ):
        for command in commands:
            app.command(command, name=command.__name__, group=group)
    for name, text, group, commands in (
        ("bench", "Measures beside references and peers, on servers of their own.", _TRY, {
            measure.__name__: measure for measure in (
                bench.standard, bench.reserve, bench.mixed, bench.availability, bench.ingest, bench.ledger,
                bench.rebuild, bench.overload,
            )
        }),
        ("dlq", "Dead letters: stock messages that failed by their own content.", _LOOK, {
            "list": dlq.list_letters, "show": dlq.show, "replay": dlq.replay, "discard": dlq.discard,
        }),
        ("exceptions", "What a person should look at: shortages, drift, silent sources, and more.", _LOOK, {
            "list": exceptions.list_exceptions, "show": exceptions.show, "resolve": exceptions.resolve,
        }),
        ("config", "The settings of this environment.", _SET_UP, {"show": config.show}),
        ("mapping", "How vendors' messages are read.", _SET_UP, {
            "list": mapping.list_mappings, "show": mapping.show, "test": mapping.try_mapping,
        }),
        ("source", "The systems that send stock events.", _KEEP, {"move": source.move, "restart": source.restart}),
        ("keys", "API clients and their keys.", _SET_UP, {
            "create": keys.create, "revoke": keys.revoke, "list": keys.list_keys,
        }),
    ):  # fmt: skip
        app.command(_family(name, text, group, commands))
    return app


def _family(name: str, text: str, group: Group, commands: dict[str, Callable[..., int]]) -> App:
    """A command that has commands."""
    made = App(name=name, help=text, group=group)
    for word, command in commands.items():
        made.command(command, name=word)
    return made


def _default(value: object) -> str | None:
    """What help says of a default: nothing where it only means that the option was not given."""
    return None if value is None or value is False or value == "" else str(value)


def run(arguments: Sequence[str]) -> int:
    """Run one command line; gives 0, 1 when it failed, 2 when it was asked for wrongly."""
    try:
        code = build()(arguments, exit_on_error=False, print_error=True, result_action="return_value") or 0
        sys.stdout.flush()
        return code
    except CycloptsError:
        return USAGE
    except KeyboardInterrupt:
        return _INTERRUPTED
    except Exception as error:  # a message for what we know, a traceback for what we do not
        if isinstance(error, BrokenPipeError) and _unread():
            return _PIPE
        code = explain(error)
        if code is None:
            raise
        return code


def _unread() -> bool:
    """Whether the reader of our output has gone, as ``head`` does; what is left to write is dropped then."""
    waiting = select.poll()
    waiting.register(sys.stdout, 0)
    if not any(events & (select.POLLERR | select.POLLHUP) for _, events in waiting.poll(0)):
        return False
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return True
