"""``atp drain``: the ledger's outbox into PostgreSQL, and from there events on NATS."""

import asyncio

from atp import config as settings
from atp.cli.metrics import metrics_served
from atp.cli.running import run_service, together


def drain() -> int:
    """Copy the ledger's entries to PostgreSQL and publish events on NATS, until SIGTERM. Ends due holds as well, and
    runs the checks that were asked for over HTTP.

    A second process may run beside it: one of them works, the other takes over.
    Needs ATP_REDIS_URL, ATP_NATS_URL and ATP_DATABASE_URL. ATP_METRICS_PORT offers metrics for Prometheus.

    Example: atp drain
    """
    config = settings.load()
    config.require("redis_url", "nats_url", "database_url")
    with metrics_served(config):
        return run_service(config, lambda stop: _drain(config, stop))


async def _drain(config: settings.Config, stop: asyncio.Event) -> None:
    from atp.check import Checker
    from atp.cli.nightly import Nightly
    from atp.outbox import Outbox, Settings
    from atp.wiring import open_journal, open_ledger, open_nats, watch

    async with (
        open_journal(config) as journal,
        open_ledger(config, journal, join=True) as ledger,
        open_nats(config, "drain", stop, wait=False) as nats,
    ):
        # At level journal every answer waits for this.
        outbox_settings = Settings(idle_s=0.003, gather_s=0.0) if config.durability == "journal" else Settings()
        # The sweep, so that holds end in time while every API process is down (P4).
        outbox, checker = Outbox(nats, ledger, journal, outbox_settings), Checker(ledger, journal)
        watching = watch(config, ledger, journal, nats)
        baselines = Nightly(journal, ledger.partitions, config.baseline_hours)
        runners = (outbox, checker, watching, baselines)
        await together(stop, ledger.sweep(stop), *(runner.run(stop) for runner in runners))
