"""A whole outbox room on real servers: commands in, journal rows and messages out."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import nats as nats_client
from msgspec import Struct, json
from nats.aio.client import Client as Nats
from nats.js.errors import NotFoundError

from atp.dev.postgres import Postgres
from atp.domain.commands import Change, Command, Confirm, Extend, Level, PutPolicy, Release, Reserve, ReserveLine
from atp.domain.ids import reservation_id
from atp.domain.results import Result
from atp.journal import Journal, JournalSettings, migrate
from atp.ledger import Ledger
from atp.outbox import Counters, Drainer, Outbox, Publisher, Settings
from atp.outbox.handover import Handover
from atp.outbox.victims import Victims
from tests.support import patient_journal, patient_ledger

#: Events of the policies that a room begins with.
POLICIES = 2


class Told(Struct):
    """One message of the stream."""

    subject: str
    headers: dict[str, str]
    data: dict[str, Any]

    @property
    def id(self) -> str:
        return self.headers["ce-id"]


class Room:
    """What the tests need of one deployment."""

    def __init__(self, valkey: str, database: str, nats: Nats, namespace: str) -> None:
        self.ledger_settings = patient_ledger(valkey, namespace)
        self.journal_settings = patient_journal(database, namespace)
        self.ledger = Ledger(self.ledger_settings)
        self.journal = Journal(self.journal_settings)
        self.nats = nats
        self.settings = Settings(stream=f"ATP-{namespace}", root=f"{namespace}.v1", lease_ms=1_000, standby_s=0.05)

    async def open(self) -> None:
        await self.journal.open()
        await self.ledger.open(await self.journal.heads())
        await self.apply(
            PutPolicy("location", "DC1", '{"kind":"warehouse"}'), PutPolicy("source", "wms", '{"kind":"wms"}')
        )

    async def close(self) -> None:
        await self.ledger.close()
        await self.journal.close()

    async def move_journal(self, server: Postgres) -> None:
        """Use a PostgreSQL that the test may stop, with a journal that soon notices."""
        await migrate(server.url)
        await self.journal.close()
        self.journal = Journal(JournalSettings(server.url, "other", connect_s=0.5))
        await self.journal.open()

    async def apply(self, *commands: Command) -> list[Result]:
        return await self.ledger.apply(commands)

    def drainer(self, ledger: Ledger | None = None, owner: str = "me", handover: Handover | None = None) -> Drainer:
        return Drainer(
            ledger or self.ledger, self.journal, 0, owner, handover or Handover(1_000), self.settings, Counters()
        )

    def publisher(self, handover: Handover, journal: Journal | None = None) -> Publisher:
        return Publisher(self.nats, self.ledger, journal or self.journal, 0, handover, self.settings, Counters())

    def victims(self, handover: Handover) -> Victims:
        return Victims(self.ledger, self.journal, 0, handover, self.settings)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Outbox]:
        """An outbox at work."""
        outbox, stop = Outbox(self.nats, self.ledger, self.journal, self.settings), asyncio.Event()
        task = asyncio.create_task(outbox.run(stop))
        try:
            yield outbox
        finally:
            stop.set()
            await task

    async def head(self) -> int:
        return (await self.ledger.heads())[0].seq

    async def drained(self) -> bool:
        """Whether the journal has everything and the outbox is empty."""
        head = (await self.ledger.heads())[0]
        return await self.journal.heads() == {0: head.seq} and head.outbox_length == 0

    async def journaled(self) -> list[int]:
        return [entry.seq for entry in await self.journal.entries_after(0, 0, 1_000_000)]

    async def told(self, *whats: str) -> list[Told]:
        """All messages of the stream in order, or those whose subject ends so."""
        js = self.nats.jetstream()
        try:
            last = (await js.stream_info(self.settings.stream)).state.last_seq
        except NotFoundError:
            return []
        found: list[Told] = []
        for seq in range(1, last + 1):
            message = await js.get_msg(self.settings.stream, seq)
            assert message.subject is not None
            subject = message.subject.removeprefix(self.settings.root + ".")
            if not whats or subject in whats:
                found.append(Told(subject, message.headers or {}, json.decode(message.data or b"")))
        return found

    async def told_events(self) -> list[Told]:
        """Messages of entries: all but availability, and the policies that the room begins with."""
        return [told for told in await self.told() if told.subject not in ("availability", "network")]


@asynccontextmanager
async def opened(valkey: str, nats: str, database: str, namespace: str) -> AsyncIterator[Room]:
    """A deployment with a NATS connection of its own."""
    client = await nats_client.connect(nats, pending_size=0)
    room = Room(valkey, database, client, namespace)
    await room.open()
    try:
        yield room
    finally:
        await room.close()
        await client.close()


def level(quantity: int, version: int = 1, sku: str = "TSHIRT", location: str = "DC1") -> Level:
    return Level(sku, location, "wms", quantity, "sequence", (0, version), "", 0, 0)


def reserve(key: str, quantity: int = 1, sku: str = "TSHIRT", cause: str = "") -> Reserve:
    lines = [ReserveLine("1", sku, quantity)]
    return Reserve(id_of(key, sku), 1, "shop", "web", "", "", "", "", 600_000, lines, cause)


def reserves(count: int, prefix: str = "k") -> Sequence[Reserve]:
    return [reserve(f"{prefix}{n}") for n in range(count)]


def confirm(key: str) -> Confirm:
    return Confirm(id_of(key), Change(1, 1), "A-1", [])


def release(key: str, reason: str = "") -> Release:
    return Release(id_of(key), Change(2, 2), "all", [], reason)


def extend(key: str) -> Extend:
    return Extend(id_of(key), Change(3, 3), 700_000)


def id_of(key: str, sku: str = "TSHIRT") -> str:
    return reservation_id("shop", key, sku)
