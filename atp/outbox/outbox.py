"""Outbox: the workers of every partition, as one loop."""

import asyncio
import os
import secrets
import socket

from msgspec import Struct
from nats.aio.client import Client as Nats

from atp.journal import Journal
from atp.ledger import Ledger
from atp.outbox.counters import Counters
from atp.outbox.drainer import Drainer
from atp.outbox.handover import Handover
from atp.outbox.publisher import Publisher
from atp.outbox.retiring import Retiring
from atp.outbox.settings import Settings
from atp.outbox.victims import Victims


class Partition(Struct, frozen=True):
    """The workers of one partition, and what they count."""

    drainer: Drainer
    publisher: Publisher
    victims: Victims
    counters: Counters


class Outbox:
    """Any number of processes may run one; each partition is worked on by one of them, the others stand by.

    ``nats`` need not be connected, now or later: journaling does not wait for it.
    """

    def __init__(self, nats: Nats, ledger: Ledger, journal: Journal, settings: Settings | None = None) -> None:
        settings = settings or Settings()
        owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        handovers = [Handover(settings.handover_max) for _ in range(ledger.partitions)]
        self._retiring = Retiring(journal, handovers[0], settings)
        self.partitions: list[Partition] = []
        for number, handover in enumerate(handovers):
            counters = Counters(number)
            publisher = Publisher(nats, ledger, journal, number, handover, settings, counters)
            counters.expose(lambda publisher=publisher: publisher.announce_lag_s)
            self.partitions.append(
                Partition(
                    Drainer(ledger, journal, number, owner, handover, settings, counters),
                    publisher,
                    Victims(ledger, journal, number, handover, settings),
                    counters,
                )
            )

    async def run(self, stop: asyncio.Event) -> None:
        """Work until ``stop``; a failure that is not somebody else's absence ends all and is raised."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._retiring.run(stop))
            for partition in self.partitions:
                tasks.create_task(partition.drainer.run(stop))
                tasks.create_task(partition.publisher.run(stop))
                tasks.create_task(partition.victims.run(stop))
