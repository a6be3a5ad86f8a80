"""``atp ingest``: stock events from NATS into the ledger."""

import asyncio

from atp import config as settings
from atp.cli.metrics import metrics_served
from atp.cli.running import run_service, together


def ingest() -> int:
    """Apply stock events from NATS to the ledger, until SIGTERM.

    A second process waits as a standby and takes over when the first one is gone.
    Needs ATP_REDIS_URL, ATP_NATS_URL and ATP_DATABASE_URL. ATP_METRICS_PORT offers metrics for Prometheus.

    Example: atp ingest
    """
    config = settings.load()
    config.require("redis_url", "nats_url", "database_url")
    with metrics_served(config):
        return run_service(config, lambda stop: _ingest(config, stop))


async def _ingest(config: settings.Config, stop: asyncio.Event) -> None:
    from atp.ingest import Consumer, Settings
    from atp.wiring import open_journal, open_ledger, open_nats

    async with (
        open_journal(config) as journal,
        open_ledger(config, journal) as ledger,
        open_nats(config, "ingest", stop) as nats,
    ):
        await together(stop, Consumer(nats, ledger, Settings()).run(stop))
