"""Reopening: what was told of changes that a new epoch of the ledger does not have (R2).

Availability is read from the ledger, so an event may show a change that is not journaled yet. If the ledger is lost
then, the sku is what it was before, and whoever reads the events keeps a wrong number: it has to be told again. The
stream itself knows which skus these are.
"""

from datetime import UTC, datetime
from urllib.parse import unquote

from nats.aio.client import Client as Nats
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError

from atp.domain.ids import position_in
from atp.outbox.settings import Settings

#: Clocks of ledger and NATS may differ by this much (domain/rules/clock.py).
APART_MS = 60_000

#: Messages per request.
FETCH = 1_000


async def told_beyond(nats: Nats, settings: Settings, partition: int, seq: int, at: int) -> set[str]:
    """Skus of the partition of which an availability event shows a change after ``seq``.

    ``at``: when that entry was written, ms; events of before are not looked at. Raises what nats-py raises.
    """
    js = nats.jetstream(timeout=settings.publish_s)
    config = ConsumerConfig(
        ack_policy=AckPolicy.NONE,
        headers_only=True,
        deliver_policy=DeliverPolicy.BY_START_TIME,
        opt_start_time=datetime.fromtimestamp(max(0, at - APART_MS) / 1000, UTC),
        inactive_threshold=60,
    )
    found: set[str] = set()
    try:
        reader = await js.pull_subscribe(f"{settings.root}.availability", stream=settings.stream, config=config)
    except NotFoundError:
        return found  # the stream is lost as well, or was never made: it will be with the first event
    try:
        left = (await reader.consumer_info()).num_pending or 0
        while left > 0:
            messages = await reader.fetch(min(left, FETCH), timeout=settings.publish_s)
            left -= len(messages)
            for message in messages:
                headers = message.headers or {}
                of, shown = position_in(headers.get("ce-id", ""))
                if of == partition and shown > seq:
                    found.add(unquote(headers.get("ce-subject", "")))
    finally:
        await reader.unsubscribe()
    return found
