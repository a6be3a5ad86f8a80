"""``atp serve``: one API process."""

import asyncio

from msgspec import structs

from atp import config as settings
from atp.cli.running import run_service, together


def serve(*, host: str | None = None, port: int | None = None, shared: bool = False) -> int:
    """Run one API process until SIGTERM; what it accepted is answered first.

    Needs ATP_REDIS_URL and ATP_DATABASE_URL; ATP_NATS_URL for stock events over HTTP and for dead letters.

    Example: atp serve --port 8000

    Parameters
    ----------
    host
        Address to listen on; ATP_HTTP_HOST otherwise.
    port
        Port to listen on; ATP_HTTP_PORT otherwise.
    shared
        Share the port with other processes of this kind, to use more cores.
    """
    config = settings.load()
    config.require("redis_url", "database_url")
    config = structs.replace(config, http_host=host or config.http_host, http_port=port or config.http_port)
    return run_service(config, lambda stop: _serve(config, stop, shared))


async def _serve(config: settings.Config, stop: asyncio.Event, shared: bool) -> None:
    from atp import api
    from atp.wiring import open_doors, open_journal, open_ledger, watch

    async with (
        open_journal(config) as journal,
        open_ledger(config, journal, answering=True, join=True) as ledger,
        open_doors(config) as doors,
    ):
        api_settings = api.ApiSettings(docs=config.docs == "on", public_url=config.public_url)
        watching = watch(config, ledger, journal, doors.nats)
        app = api.create_app(
            ledger, journal, api_settings, desk=doors.desk, door=doors.door, raw=doors.raw, suspects=doors.suspects,
            rebuilds=watching,
        )  # fmt: skip
        serving = api.serve(app, config.http_host, config.http_port, stop, shared=shared)
        looking = [doors.suspects.run(stop)] if doors.suspects else []
        await together(stop, serving, ledger.sweep(stop), watching.run(stop), *looking)
