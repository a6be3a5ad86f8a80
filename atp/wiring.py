"""The composition root: opens what the rooms need, from the configuration, and closes it again.

Everything here is an async context manager, so that a command reads as the list of what it uses. Tests compose their
rooms by the same functions.
"""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import structlog
from msgspec import Struct
from nats.aio.client import Client as Nats

from atp.config import Config, webhook_secrets, webhook_sources
from atp.deadletters import Desk, Suspects
from atp.ingest import Posting
from atp.ingest.raw import Doorway, Formats, Webhooks
from atp.journal import Journal, JournalSettings, JournalUnavailable
from atp.ledger import Ledger, LedgerSettings, Limits
from atp.natspy import tell_lost
from atp.rebuild import LastTold, Watch
from atp.rebuild import Settings as RebuildSettings

_NATS_CONNECT_S = 2
_NATS_RETRY_S = 0.3  # what a server that is back waits for us; shorter at random, so that not all come at once
_NATS_PING_S = 2  # two unanswered pings and the connection is taken for dead

log = structlog.get_logger("atp.wiring")


class Stopped(Exception):
    """Told to end before everything was open."""


@asynccontextmanager
async def open_journal(config: Config) -> AsyncIterator[Journal]:
    """The journal; opens also while PostgreSQL is away. Raises JournalUnmigrated, JournalForeign."""
    journal = Journal(JournalSettings(url=config.database_url, namespace=config.namespace))
    await journal.open()
    try:
        yield journal
    finally:
        await journal.close()


@asynccontextmanager
async def open_ledger(
    config: Config, journal: Journal | None, *, answering: bool = False, join: bool = False
) -> AsyncIterator[Ledger]:
    """The ledger, compared with what the journal knows of it.

    Only a process that is ``answering`` callers waits for the journal at level ``journal``: what others do begins
    anew from the journal should the ledger be lost, and the drainer must not wait for itself.

    While the journal cannot be asked, only a ledger that already has a history opens: an empty one might have lost its
    own (R2). With ``join`` also one that must be rebuilt first, for those who watch it. Raises LedgerUnavailable,
    LedgerUnfit, LedgerRecovering.
    """
    ledger = Ledger(
        LedgerSettings(
            url=config.redis_url,
            namespace=config.namespace,
            partitions=config.partitions,
            durability="fsync" if config.durability == "journal" and not answering else config.durability,
            unproven_server=config.unproven_server == "allow",
            limits=Limits(outbox_max=config.outbox_max),
        )
    )
    await ledger.open(await _witness(journal), join=join)
    try:
        yield ledger
    finally:
        await ledger.close()


def watch(config: Config, ledger: Ledger, journal: Journal, nats: Nats | None) -> Watch:
    """Who looks whether the ledger is the known one, and makes a lost one anew (R2)."""
    settings = rebuild_settings(config)
    return Watch(ledger, journal, LastTold(nats, settings), settings)


def rebuild_settings(config: Config) -> RebuildSettings:
    """As the environment says."""
    return RebuildSettings(accept_loss=config.on_loss == "open")


async def _witness(journal: Journal | None) -> dict[int, int] | None:
    if journal is None:
        return None
    try:
        return await journal.heads()
    except JournalUnavailable:
        return None


@asynccontextmanager
async def open_nats(config: Config, name: str, stop: asyncio.Event, *, wait: bool = True) -> AsyncIterator[Nats]:
    """A NATS connection that waits for its server for ever, at the start (until ``stop``, then Stopped) and later.

    Without ``wait`` it is given at once and connects meanwhile, for those who have other work than NATS. Should the
    client give up for good, ``stop`` is set: the process had better end and be started anew. While the server is away
    publishing raises at once instead of filling a buffer that nobody sees (research/reliability.md §6).
    """
    closing = False

    async def on_closed() -> None:
        if not closing:
            log.error("nats connection closed for good")
            stop.set()

    async def on_error(error: Exception) -> None:
        log.warning("nats", error=str(error) or type(error).__name__)

    async def on_disconnected() -> None:
        tell_lost(client)
        if not closing:
            log.warning("nats disconnected")

    async def on_reconnected() -> None:
        log.info("nats reconnected")

    client = Nats()
    options: dict[str, Any] = {
        "name": f"{config.namespace} {name}",
        "max_reconnect_attempts": -1,
        "connect_timeout": _NATS_CONNECT_S,
        "reconnect_time_wait": _NATS_RETRY_S * random.uniform(0.5, 1.0),  # noqa: S311 - no secret
        "ping_interval": _NATS_PING_S,
        "pending_size": 0,
        "closed_cb": on_closed,
        "error_cb": on_error,
        "disconnected_cb": on_disconnected,
        "reconnected_cb": on_reconnected,
    }
    connecting = asyncio.create_task(client.connect(config.nats_url.split(","), **options))
    try:
        if wait:
            await _unless(stop, connecting)
        yield client
    finally:
        closing = True
        connecting.cancel()
        await asyncio.gather(connecting, return_exceptions=True)
        await client.close()


class Doors(Struct, frozen=True):
    """What the API has of NATS: the dead letters and the ways into the streams; None where NATS is not set."""

    desk: Desk | None = None
    door: Posting | None = None
    raw: Doorway | None = None
    suspects: Suspects | None = None
    nats: Nats | None = None


@asynccontextmanager
async def open_doors(config: Config) -> AsyncIterator[Doors]:
    """NATS for the API, which serves without it: given at once, and connected whenever the server is there."""
    if not config.nats_url:
        yield Doors()
        return
    formats = open_formats(config)
    never = asyncio.Event()  # whatever becomes of this connection, reservations go on
    async with open_nats(config, "api", never, wait=False) as nats:
        yield Doors(Desk(nats), Posting(nats), Doorway(nats, formats, _webhooks(formats)), Suspects(nats), nats)


def open_formats(config: Config) -> Formats:
    """The mappings of this deployment. Raises MappingError, so that a wrong one is told at the start."""
    return Formats(Path(config.mappings_dir) if config.mappings_dir else None)


def _webhooks(formats: Formats) -> Webhooks:
    return Webhooks({name: webhook_secrets(name) for name in formats.secrets()}, webhook_sources())


async def _unless(stop: asyncio.Event, work: asyncio.Task[None]) -> None:
    """Wait for ``work``; raise Stopped when ``stop`` comes first."""
    stopped = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([work, stopped], return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopped.cancel()
    if not work.done():
        raise Stopped
    await work
