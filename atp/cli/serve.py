"""``atp serve``: one API process."""

import asyncio
from typing import TYPE_CHECKING

from msgspec import structs

from atp import config as settings
from atp.cli.dev import Port, Workers
from atp.cli.errors import Misused
from atp.cli.running import run_service, together

if TYPE_CHECKING:
    from atp.api import ApiSettings


def serve(
    *,
    host: str | None = None,
    port: Port | None = None,
    shared: bool = False,
    p0_port: Port | None = None,
    only_p0: bool = False,
    workers: Workers = 1,
    operations_port: Port | None = None,
) -> int:
    """Run one API process, or several that share a port, until SIGTERM; what they accepted is answered first.

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
    p0_port
        A second port of this process, for confirm, release and other P0 routes only.
    only_p0
        Answer P0 routes only: a process for those who pay, which those who reserve cannot crowd.
    workers
        So many processes share the port; one that ends is started again.
    operations_port
        A port of this process alone, on ATP_METRICS_HOST, for health and metrics. With workers the first one's, and the
        next ones have those above it; free ones are chosen and told where none is given.
    """
    config = settings.load()
    config.require("redis_url", "database_url")
    if workers > 1:
        from atp.cli.workers import run_workers

        if shared or p0_port:
            raise Misused("--workers stands alone: start processes with --shared yourself, and P0 with --only-p0.")
        flags = ["--only-p0"] if only_p0 else []
        return run_workers(
            workers, host or config.http_host, port or config.http_port, config.metrics_host, operations_port, flags
        )
    config = structs.replace(config, http_host=host or config.http_host, http_port=port or config.http_port)
    return run_service(config, lambda stop: _serve(config, stop, shared, p0_port, only_p0, operations_port))


async def _serve(
    config: settings.Config, stop: asyncio.Event, shared: bool, p0_port: int | None, only_p0: bool,
    operations_port: int | None,
) -> None:  # fmt: skip
    from atp import api
    from atp.wiring import open_doors, open_journal, open_ledger, watch

    settings_of_api = _api_settings(config)
    async with (
        open_journal(config) as journal,
        open_ledger(config, journal, answering=True, join=True) as ledger,
        open_doors(config) as doors,
    ):
        watching = watch(config, ledger, journal, doors.nats)
        app = api.create_app(
            ledger, journal, settings_of_api, desk=doors.desk, door=doors.door, raw=doors.raw, suspects=doors.suspects,
            rebuilds=watching, changes=api.Changes(doors.nats) if doors.nats else None,
        )  # fmt: skip
        first = api.only_p0(app) if only_p0 else app
        loops = [api.serve(first, config.http_host, config.http_port, stop, shared=shared)]
        if p0_port:
            loops.append(api.serve(api.beside(api.only_p0(app)), config.http_host, p0_port, stop))
        if operations_port:
            listener = api.beside(api.only_operations(app))
            loops.append(api.serve(listener, config.metrics_host, operations_port, stop))
        if doors.suspects:
            loops.append(doors.suspects.run(stop))
        await together(stop, *loops, ledger.sweep(stop), watching.run(stop))


def _api_settings(config: settings.Config) -> "ApiSettings":
    """As the environment says. Raises ConfigError for tokens that are only half described."""
    from atp.api.settings import ApiSettings, JwtSettings
    from atp.asyncapi import document

    described = ("jwt_issuer", "jwt_audience", "jwks_url")
    if any(getattr(config, name) for name in described):
        config.require(*described)
    jwt = JwtSettings(
        config.jwt_issuer, config.jwt_audience, config.jwks_url, config.jwt_client_claim, config.jwt_scopes_claim,
        config.jwt_channels_claim, config.jwt_sources_claim, config.jwt_nbf,
    )  # fmt: skip
    secrets = tuple(secret.encode() for secret in settings.split(config.ticket_secrets))
    return ApiSettings(
        ticket_secrets=secrets,
        docs=config.docs == "on", public_url=config.public_url, jwt=jwt if config.jwks_url else None,
        customer_key=config.customer_key, asyncapi=document() if config.docs == "on" else b"{}",
    )  # fmt: skip
