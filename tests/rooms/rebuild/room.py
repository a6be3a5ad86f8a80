"""A ledger that may be lost, its journal, and a process that watches it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import Any

from atp.domain.commands import Change, Command, Confirm, Level, PutPolicy, Release, Reserve, ReserveLine
from atp.domain.entries import AnyEntry
from atp.domain.ids import reservation_id
from atp.domain.results import Result
from atp.domain.state import State
from atp.journal import Journal
from atp.ledger import Ledger, keys
from atp.ledger.connection import Connection
from atp.ledger.records import decode, read
from atp.outbox import Counters, Drainer
from atp.outbox import Settings as OutboxSettings
from atp.outbox.handover import Handover
from atp.rebuild import LastTold, Rebuilder, Settings, Watch
from tests.scenarios import drawing
from tests.scenarios.laws import RulesLaw, records_in
from tests.scenarios.replaying import kept
from tests.scenarios.world import LOCATION_BODIES, LOCATIONS
from tests.support import connected, hurried, patient_journal, patient_ledger, wait_until_async


class Room:
    """What the tests need of one deployment. ``settings`` may be replaced before a watch or a rebuilder is made."""

    def __init__(self, valkey: str, database: str, namespace: str, partitions: int = 1) -> None:
        self.url, self.namespace, self.partitions = valkey, namespace, partitions
        self.settings = Settings(witness_s=0.15, watch_s=0.05, journal_every_s=0.2, show_every_s=0.0)
        self.journal = Journal(patient_journal(database, namespace))
        self.ledger = self.process("p1")
        self.prefix = keys.prefix(namespace, 0)
        self.connection: Connection | None = None

    def process(self, name: str) -> Ledger:
        """Another process's ledger, not open yet."""
        return Ledger(patient_ledger(self.url, self.namespace, self.partitions, process=name))

    async def open(self) -> None:
        await self.journal.open()
        await self.ledger.open(await self.journal.heads())
        await self.ledger.put_policy(PutPolicy("location", "DC1", '{"kind":"warehouse"}'))
        await self.ledger.put_policy(PutPolicy("source", "wms", '{"kind":"wms"}'))

    async def close(self) -> None:
        await self.ledger.close()
        await self.journal.close()
        if self.connection is not None:
            await self.connection.end()

    async def apply(self, *commands: Command) -> list[Result]:
        return await self.ledger.apply(commands)

    async def ask(self, *words: Any, **_: Any) -> Any:
        """One command of the server, whatever became of it meanwhile."""
        if self.connection is None or self.connection.closed:
            self.connection = await connected(self.url)
        return await self.connection.ask(*words)

    async def lose(self, partition: int = 0) -> None:
        """All keys are gone, as on a new disk."""
        for key in await self.ask("KEYS", keys.prefix(self.namespace, partition) + "*"):
            await self.ask("DEL", key)

    async def state(self, partition: int = 0) -> State:
        """A partition's whole state, as it is stored."""
        return decode([page async for page in read(self.ask, keys.prefix(self.namespace, partition))])

    async def drain(self, partition: int = 0) -> int:
        """All entries into the journal; its watermark."""
        drainer = Drainer(self.ledger, self.journal, partition, "me", Handover(1_000), OutboxSettings(), Counters())
        while await drainer.run_once():
            pass
        return (await self.journal.heads())[partition]

    def rebuilder(self, ledger: Ledger | None = None, *shows: Any) -> Rebuilder:
        return Rebuilder(ledger or self.ledger, self.journal, 0, LastTold(None, self.settings), self.settings, *shows)

    @asynccontextmanager
    async def watched(self, *ledgers: Ledger) -> AsyncIterator[Watch]:
        """Every process sweeps, and the first one watches."""
        stop = asyncio.Event()
        watch = Watch(self.ledger, self.journal, LastTold(None, self.settings), self.settings)
        tasks = [asyncio.create_task(ledger.sweep(stop)) for ledger in (self.ledger, *ledgers)]
        tasks.append(asyncio.create_task(watch.run(stop)))
        try:
            yield watch
        finally:
            stop.set()
            await asyncio.gather(*tasks)

    async def serves(self, *epochs: int, ledger: Ledger | None = None) -> None:
        """Wait until the process goes on in these epochs."""
        at = ledger or self.ledger
        await wait_until_async(lambda: at.epochs == epochs and not at.recovering, 15, f"epochs {epochs}: {at.epochs}")


class Life:
    """Random commands of every kind, drawn for a reference that lives through the same."""

    def __init__(self, seed: int) -> None:
        self.reference, self.position, self.version = RulesLaw(), 0, 0
        self.now = self.reference.state.last_now
        self.skus = ["sku-a", "sku-b", "sku-c", "sku-d"]
        self.ids = [reservation_id("client", str(n), self.skus[0]) for n in range(20)]
        self.journaled: dict[str, Any] = {}
        self._draw = Random(seed)

    def first(self) -> list[Command]:
        policies = [PutPolicy("location", at, LOCATION_BODIES[i % 2]) for i, at in enumerate(LOCATIONS[:3])]
        levels = [Level(s, at, "wms", 20, "sequence", (0, 0), "", 0, 0) for s in self.skus for at in LOCATIONS[:3]]
        return self._take([*policies, *levels])

    def batch(self) -> list[Command]:
        self.now += self._draw.choice([0, 1, 900, 4_000])
        return self._take([drawing.command(self, self._draw) for _ in range(self._draw.randrange(24))])

    def _take(self, commands: list[Command]) -> list[Command]:
        entries = self.reference.apply(commands, self.now)[1]
        self.journaled |= {record.id: record for record in records_in(entries)}
        return commands


async def live(room: Room, life: Life, batches: int) -> None:
    """The life, told to the real ledger's one partition."""
    batcher = room.ledger._batchers[0]
    with hurried(room.ledger, command_deadline_s=2.0):  # what is never decided is given up soon
        for commands in [life.first(), *(life.batch() for _ in range(batches))]:
            for start in range(0, len(commands), 8):
                futures = [batcher.submit(command) for command in commands[start : start + 8]]
                await asyncio.gather(*futures, return_exceptions=True)


def same(found: State, expected: State) -> dict[str, tuple[Any, Any]]:
    """What differs, apart from the epoch and what entries need not bring back."""
    new, old = kept(found, expected.last_now), kept(expected, expected.last_now)
    return {name: (new[name], old[name]) for name in old if name not in ("seq", "standing") and new[name] != old[name]}


def level(quantity: int, version: int = 1, sku: str = "A") -> Level:
    return Level(sku, "DC1", "wms", quantity, "sequence", (0, version), "", 0, 0)


def reserve(key: str, quantity: int = 1, sku: str = "A", ttl_ms: int = 600_000) -> Reserve:
    lines = [ReserveLine("1", sku, quantity)]
    return Reserve(id_of(key, sku), 1, "shop", "web", "", "", "", "", ttl_ms, lines)


def reserves(count: int, prefix: str = "k") -> Sequence[Reserve]:
    return [reserve(f"{prefix}{n}") for n in range(count)]


def confirm(key: str) -> Confirm:
    return Confirm(id_of(key), Change(1, 1), "", [])


def release(key: str) -> Release:
    return Release(id_of(key), Change(2, 2), "all", [])


def id_of(key: str, sku: str = "A") -> str:
    return reservation_id("shop", key, sku)


async def entries_of(journal: Journal) -> list[AnyEntry]:
    return await journal.entries_after(0, 0, 100_000)


async def quietly(work: Any) -> None:
    with contextlib.suppress(asyncio.CancelledError):
        await work
