"""A page of a stream's past, for cursors older than what a process keeps in memory."""

import asyncio
import secrets
from contextlib import suppress

from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

TIMEOUT_S, FORGOTTEN_S = 2.0, 30.0

#: Pages read at once by a process: many readers that come back at the same time take turns.
_TURNS = asyncio.Semaphore(4)


async def read_past(
    nc: Client, stream: str, subjects: list[str], after: int, most: int
) -> tuple[list[tuple[int, str, bytes]], int]:
    """(sequence, subject, data) of the events behind ``after``, and how many follow them. Raises what nats-py does."""
    js, name = nc.jetstream(timeout=TIMEOUT_S), f"atp-feed-{secrets.token_hex(8)}"
    config = ConsumerConfig(
        name=name,
        description="a page of the feed of availability",
        deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
        opt_start_seq=after + 1,
        filter_subjects=subjects,
        ack_policy=AckPolicy.NONE,
        mem_storage=True,
        inactive_threshold=FORGOTTEN_S,
    )
    async with _TURNS:
        left = (await js.add_consumer(stream, config)).num_pending or 0
        reader = await js.pull_subscribe_bind(stream=stream, name=name)
        found: list[tuple[int, str, bytes]] = []
        try:
            while left and len(found) < most:
                for message in await reader.fetch(min(left, most - len(found)), timeout=TIMEOUT_S):
                    found.append((message.metadata.sequence.stream, message.subject, message.data))
                    left = message.metadata.num_pending
        finally:
            with suppress(NatsError, TimeoutError):
                await reader.unsubscribe()
                await js.delete_consumer(stream, name)
    return found, left
