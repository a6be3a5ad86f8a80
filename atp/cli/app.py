"""The list of commands. Each imports the rooms it runs when it runs, so that ``atp --help`` is quick."""

from collections.abc import Sequence

from cyclopts import App, CycloptsError, Parameter

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


def build() -> App:
    """The whole command line."""
    app = App(
        name="atp",
        help="Available-to-promise and reservations for retail.",
        version=__version__,
        help_epilogue="Start with: atp dev",
        help_format="plaintext",
        default_parameter=Parameter(negative=()),  # no --no-json
    )
    app.command(dev, name="dev")
    app.command(demo, name="demo")
    app.command(rehearse, name="rehearse")
    app.command(serve, name="serve")
    app.command(ingest, name="ingest")
    app.command(drain, name="drain")
    app.command(migrate, name="migrate")
    app.command(promote, name="promote")
    app.command(check, name="check")
    app.command(rebuild, name="rebuild")
    app.command(baseline, name="baseline")
    app.command(explain_sku, name="explain")
    app.command(reservations, name="reservations")
    app.command(history, name="history")
    app.command(audit, name="audit")
    app.command(version, name="version")
    measures = App(name="bench", help="Measures beside references and peers, on servers of their own.")
    for measure in (
        bench.standard, bench.reserve, bench.mixed, bench.availability, bench.ingest, bench.ledger, bench.rebuild,
        bench.overload,
    ):  # fmt: skip
        measures.command(measure, name=measure.__name__)
    app.command(measures)
    letters = App(name="dlq", help="Dead letters: stock messages that failed by their own content.")
    letters.command(dlq.list_letters, name="list")
    letters.command(dlq.show, name="show")
    letters.command(dlq.replay, name="replay")
    letters.command(dlq.discard, name="discard")
    app.command(letters)
    looked_at = App(name="exceptions", help="What a person should look at: shortages, drift, silent sources, and more.")
    looked_at.command(exceptions.list_exceptions, name="list")
    looked_at.command(exceptions.show, name="show")
    looked_at.command(exceptions.resolve, name="resolve")
    app.command(looked_at)
    settings = App(name="config", help="The settings of this environment.")
    settings.command(config.show, name="show")
    app.command(settings)
    mappings = App(name="mapping", help="How vendors' messages are read.")
    mappings.command(mapping.list_mappings, name="list")
    mappings.command(mapping.show, name="show")
    mappings.command(mapping.try_mapping, name="test")
    app.command(mappings)
    stock = App(name="source", help="The systems that send stock events.")
    stock.command(source.move, name="move")
    stock.command(source.restart, name="restart")
    app.command(stock)
    clients = App(name="keys", help="API clients and their keys.")
    clients.command(keys.create, name="create")
    clients.command(keys.revoke, name="revoke")
    clients.command(keys.list_keys, name="list")
    app.command(clients)
    return app


def run(arguments: Sequence[str]) -> int:
    """Run one command line; gives 0, 1 when it failed, 2 when it was asked for wrongly."""
    try:
        return build()(arguments, exit_on_error=False, print_error=True, result_action="return_value") or 0
    except CycloptsError:
        return USAGE
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # a message for what we know, a traceback for what we do not
        code = explain(error)
        if code is None:
            raise
        return code
