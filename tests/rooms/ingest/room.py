"""What a test of the consumer works with: a stream, a ledger, and a consumer to stop, kill and start again."""

import asyncio
from contextlib import suppress

from msgspec import Struct
from nats.aio.client import Client
from nats.aio.msg import Msg

from atp.domain.commands import PutPolicy
from atp.ingest import Consumer, Event, Feed, Settings
from atp.ledger import Ledger
from tests.support import patient_ledger, wait_until_async


class Room(Struct):
    """What a test of the consumer works with."""

    nc: Client
    ledger: Ledger
    settings: Settings
    consumer: Consumer
    stop: asyncio.Event
    task: asyncio.Task[None] | None = None

    def start(self, ledger: Ledger | None = None) -> Consumer:
        """Run a new consumer, as a restarted process would."""
        self.consumer = Consumer(self.nc, ledger or self.ledger, self.settings)
        self.stop = asyncio.Event()
        self.task = asyncio.create_task(self.consumer.run(self.stop))
        return self.consumer

    async def finish(self) -> None:
        """Stop it in its orderly way."""
        if self.task:
            self.stop.set()
            await asyncio.wait_for(self.task, 20)
            self.task = None

    async def kill(self) -> None:
        """End it wherever it is, as a crash would."""
        if self.task:
            self.task.cancel()
            with suppress(asyncio.CancelledError):
                await self.task
            self.task = None

    async def publish(self, *events: Event) -> int:
        return await Feed(self.nc, self.settings).publish(events)

    async def settled(self, position: int, timeout: float = 15) -> None:
        """Wait until the ledger has settled the stream up to ``position``."""

        async def reached() -> bool:
            return await self.ledger.cursor(self.settings.key) >= position

        await wait_until_async(reached, timeout, f"cursor {position}, counted: {self.consumer.counters}")

    async def number(self, sku: str, location: str = "DC1") -> int | None:
        """The position's number by its authority."""
        (stock,) = await self.ledger.availability([sku])
        return next((at.balance.number for at in stock.locations if at.balance.location == location), None)

    async def dead_letters(self) -> list[Msg]:
        """All dead letters so far."""
        js = self.nc.jetstream()
        count = (await js.stream_info(self.settings.dead_letters)).state.messages
        if not count:
            return []
        subscription = await js.pull_subscribe("", stream=self.settings.dead_letters)
        found = await subscription.fetch(count, timeout=5)
        await subscription.unsubscribe()
        return found

    async def reasons(self) -> list[str]:
        return [(letter.headers or {})["atp-reason"] for letter in await self.dead_letters()]


_POLICY = '{"kind":"warehouse","sources":[{"source":"wms","role":"authority"}]}'


async def open_ledger(url: str, namespace: str, partitions: int = 1) -> Ledger:
    """A new ledger with two locations whose authority is wms."""
    ledger = Ledger(patient_ledger(url, namespace, partitions))
    await ledger.open({})
    for location in ("DC1", "DC2"):
        await ledger.put_policy(PutPolicy("location", location, _POLICY))
    return ledger
