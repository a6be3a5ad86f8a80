"""``atp ingest``: stock events from NATS into the ledger, or a file's into NATS."""

import asyncio
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from atp import config as settings
from atp.cli import ingest_file
from atp.cli.metrics import metrics_served
from atp.cli.running import run_service, together

File = Annotated[Path | None, Parameter(help="A JSON, NDJSON or CSV file to publish; none: run the service.")]


def ingest(
    file: File = None,
    *,
    as_: Annotated[str, Parameter(name="--as")] = "",
    source: str = "",
    format: Literal["json", "ndjson", "csv"] | None = None,
    sequence: int | None = None,
    version_time: str = "",
    rejects: Path | None = None,
    resume: bool = False,
    dry_run: bool = False,
    json_: bool = False,
) -> int:
    """Apply stock events from NATS to the ledger, until SIGTERM. With a FILE: publish its events on NATS and end.

    As a service it needs ATP_REDIS_URL, ATP_NATS_URL and ATP_DATABASE_URL; a second process waits as a standby and
    takes over when the first one is gone. ATP_METRICS_PORT offers metrics for Prometheus.

    A file is read through a mapping (see: atp mapping list) and needs ATP_NATS_URL, else the `atp dev` of this folder.
    Records that cannot be used are written to `FILE.rejects.ndjson` with line and reason, and the exit code is 1; the
    others are sent. Sending a file again does no harm.

    Example: atp ingest stock.csv --as canonical --source wms-east --version-time 2026-11-20T06:00:00Z

    Parameters
    ----------
    as_
        The mapping: a name, or the path of a TOML file.
    source
        The source that the events are from; by default the mapping's name.
    format
        How the file is written; by default what its name ends in, else what the mapping says.
    sequence
        The version of the whole file, for mappings that take it from outside.
    version_time
        The same as a time: when the numbers were true, RFC 3339 with offset.
    rejects
        Where to write what cannot be used.
    resume
        Go on where an earlier run of this file stopped.
    dry_run
        Read everything, publish and write nothing.
    json_
        Print the totals as JSON.
    """
    given = (as_, source, format, sequence, version_time, rejects, resume, dry_run, json_)
    if file is not None:
        return ingest_file.ingest_file(file, *given)
    if any(given):
        return ingest_file.usage("give a FILE with these options; without one, this command runs the service")
    config = settings.load()
    config.require("redis_url", "nats_url", "database_url")
    with metrics_served(config):
        return run_service(config, lambda stop: _ingest(config, stop))


async def _ingest(config: settings.Config, stop: asyncio.Event) -> None:
    from atp.ingest import Consumer, Settings, Sweeper, Watcher
    from atp.ingest.raw import Translator
    from atp.wiring import open_formats, open_journal, open_ledger, open_nats, watch

    formats = open_formats(config)
    async with (
        open_journal(config) as journal,
        open_ledger(config, journal, join=True) as ledger,
        open_nats(config, "ingest", stop) as nats,
    ):
        settings = Settings()
        runners = (
            Consumer(nats, ledger, settings, journal),
            Translator(nats, ledger, formats, settings),
            Sweeper(ledger, settings),
            Watcher(ledger, settings),
        )
        # The sweep, too: it is what notices a ledger that was lost or rebuilt while no event comes.
        watching = watch(config, ledger, journal, nats)
        await together(stop, ledger.sweep(stop), watching.run(stop), *(runner.run(stop) for runner in runners))
