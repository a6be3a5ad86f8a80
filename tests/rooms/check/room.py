"""A ledger that is drained into a journal, hands that write into the server past the law, and checks."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any, Self

import msgspec

from atp.check import Checker, Finding, Settings
from atp.domain.commands import Change, Command, Confirm, Fulfil, Incoming, Level, PutPolicy, Reserve, ReserveLine
from atp.domain.ids import reservation_id
from atp.domain.outcomes import Outcome
from atp.domain.records import Balance
from atp.domain.results import Result
from atp.journal import Journal, Run
from atp.ledger import Ledger
from atp.ledger.keys import prefix
from atp.outbox import Counters, Drainer
from atp.outbox import Settings as OutboxSettings
from atp.outbox.handover import Handover
from tests.support import connected, patient_journal, patient_ledger, wait_until_async

#: In the tests nobody waits for a gentle pace.
FAST = Settings(page=16, chunk=8, save_every_s=0.0, dead_after_s=0.3, rounds=3)


class Room:
    def __init__(self, valkey: str, database: str, namespace: str, partitions: int = 1) -> None:
        self.url, self.namespace, self.partitions = valkey, namespace, partitions
        self.ledger = Ledger(patient_ledger(valkey, namespace, partitions))
        self.journal = Journal(patient_journal(database, namespace))
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self.journal.open()
        self._stack.push_async_callback(self.journal.close)
        await self.ledger.open(await self.journal.heads())
        self._stack.push_async_callback(self.ledger.close)
        self.connection = await connected(self.url)
        self._stack.push_async_callback(self.connection.end)
        stop = asyncio.Event()
        draining = [asyncio.create_task(self._drainer(p).run(stop)) for p in range(self.partitions)]

        async def end() -> None:
            stop.set()
            await asyncio.gather(*draining)

        self._stack.push_async_callback(end)
        for id in ("DC1", "DC2"):
            await self.ledger.put_policy(PutPolicy("location", id, '{"kind":"warehouse"}'))
        await self.ledger.put_policy(PutPolicy("source", "wms", '{"kind":"wms"}'))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def _drainer(self, partition: int) -> Drainer:
        settings = OutboxSettings(lease_ms=1_000, standby_s=0.05)
        return Drainer(self.ledger, self.journal, partition, "me", Handover(1_000), settings, Counters())

    async def apply(self, *commands: Command) -> list[Result]:
        results = await self.ledger.apply(commands)
        assert all(result.outcome is Outcome.APPLIED for result in results), results
        return results

    async def drained(self) -> None:
        """Wait until the journal has everything."""

        async def has_all() -> bool:
            return (await self.journal.heads()).get(0) == (await self.ledger.heads())[0].seq

        await wait_until_async(has_all, description="the journal has everything")

    async def check(self, *, repair: bool = False, settings: Settings = FAST) -> tuple[Run, list[Finding]]:
        """One whole run, and what it found."""
        id = await self.journal.checking.request("tests", repair=repair, share=1.0)
        run = await Checker(self.ledger, self.journal, settings).check(id, lambda _: None)
        bodies = await self.journal.checking.findings(id, 1_000)
        return run, [msgspec.json.decode(body, type=Finding) for body in bodies]

    # -- past the law ------------------------------------------------------------------------------------------------

    def key(self, name: str, partition: int = 0) -> str:
        return prefix(self.namespace, partition) + name

    async def spoil(self, key: str, field: str, change: Any, partition: int = 0) -> None:
        """Unpack a stored record, let ``change`` alter it, and write it back packed as it was."""
        stored = await self.connection.ask("HGET", self.key(key, partition), field)
        record = msgspec.msgpack.decode(stored)
        change(record)
        await self.connection.ask("HSET", self.key(key, partition), field, _packed(record))

    async def ask(self, *words: str | int) -> Any:
        """A plain command on a key of the first partition: the second word is the key."""
        return await self.connection.ask(words[0], self.key(str(words[1])), *words[2:])

    async def balance(self, sku: str, location: str = "DC1") -> Balance:
        (stock,) = await self.ledger.availability([sku])
        return next(at.balance for at in stock.locations if at.balance.location == location)


def _packed(record: list) -> bytes:
    """As the library packs it: a whole reservation has the header of a long array."""
    packed = msgspec.msgpack.encode(record)
    return packed if len(record) != 16 else b"\xdc\x00\x10" + packed[packed.index(b"\x10") + 1 :]


def level(sku: str, quantity: int, version: int = 1, location: str = "DC1") -> Level:
    return Level(sku, location, "wms", quantity, "sequence", (0, version), "", 0, 0)


def incoming(sku: str, quantity: int, day: str, starts_at: int, version: int = 1) -> Incoming:
    return Incoming(sku, "DC1", "wms", quantity, "sequence", (0, version), "", 0, 0, "po-1", day, starts_at)


def reserve(
    key: str, sku: str = "A", quantity: int = 1, *, needed_by: str = "", order: str = "", customer: str = "",
    campaign: str = "", ttl_ms: int = 0,
) -> Reserve:  # fmt: skip
    line = ReserveLine("1", sku, quantity, needed_by=needed_by)
    return Reserve(id_of(key, sku), 1, "shop", "web", customer, order, campaign, "", ttl_ms, [line])


def confirm(key: str, sku: str = "A", order: str = "") -> Confirm:
    return Confirm(id_of(key, sku), Change(1, 1), order, [])


def fulfil(key: str, sku: str = "A") -> Fulfil:
    return Fulfil(id_of(key, sku), Change(2, 2), [], 0, "shop")


def id_of(key: str, sku: str = "A") -> str:
    return reservation_id("shop", key, sku)
