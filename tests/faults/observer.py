"""What the service keeps, read past its own processes: the ledger's server, PostgreSQL and NATS themselves."""

import asyncio
import time
from contextlib import suppress

import asyncpg
import nats
from msgspec import Struct, json
from nats.aio.client import Client as Nats
from nats.errors import Error as NatsError
from nats.js.api import AckPolicy, ConsumerConfig

from atp.demo import documents
from atp.demo.http import Client
from atp.domain.entries import AnyEntry
from atp.domain.state import State
from atp.ledger import keys, records
from atp.ledger.connection import ServerRefused, connect
from atp.ledger.errors import LedgerUnavailable
from tests.support import wait_until_async

from .checkers.conservation import Place
from .shop import PLAIN, SCARCE
from .stack import ASK_S, Stack

_QUERY_S = 2.0
_HEAD_S = 30.0
_TIMES = 30
_EVENTS = "atp.v1.reservation.*"

_decode = json.Decoder(AnyEntry).decode


class Sight(Struct, frozen=True):
    """How far everything has come."""

    seq: int = 0  # the ledger's
    cursor: int = 0  # the stock stream's, in the ledger
    due: int = 0  # holds with a deadline
    journaled: int = 0
    published: int = 0


class Observer:
    """Looks; while something is away, what it would say counts as zero."""

    def __init__(self, stack: Stack, nc: Nats) -> None:
        self._stack = stack
        self.nc = nc
        self._meta = keys.meta(stack.config.namespace, 0)
        self._prefix = keys.prefix(stack.config.namespace, 0)

    async def ledger(self) -> Sight:
        """The ledger's side."""
        try:
            connection = await connect(self._stack.servers["valkey"].url, ASK_S)  # type: ignore[attr-defined]
        except LedgerUnavailable:
            return Sight()
        try:
            seq = await connection.ask("HGET", self._meta, "seq", timeout_s=_QUERY_S)
            cursor = await connection.ask("HGET", f"{self._prefix}cursor", "STOCK/0", timeout_s=_QUERY_S)
            due = await connection.ask("ZCARD", f"{self._prefix}due", timeout_s=_QUERY_S)
        except (OSError, TimeoutError, ServerRefused):  # also while it loads its file
            return Sight()
        finally:
            await connection.end()
        return Sight(int(seq or 0), int(cursor or 0), int(due))

    async def head(self) -> int:
        """The ledger's seq, asked until it says one. Raises NeverCame."""
        seq = 0

        async def said() -> bool:
            nonlocal seq
            seq = (await self.ledger()).seq
            return seq > 0

        await wait_until_async(said, _HEAD_S, "the ledger says its seq")
        return seq

    async def everything(self) -> Sight:
        """Both sides."""
        sight = await self.ledger()
        rows = []
        with suppress(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            rows = await self._stack.ask_journal("select seq, published from watermarks where partition = 0")
        if not rows:
            return sight
        return Sight(sight.seq, sight.cursor, sight.due, rows[0]["seq"], rows[0]["published"])

    async def entries(self) -> list[AnyEntry]:
        """The journal, in order."""
        rows = await self._stack.ask_journal("select body::text as body from entries where partition = 0 order by seq")
        return [_decode(row["body"]) for row in rows]

    async def state(self) -> State:
        """All that the ledger keeps, while nobody writes."""
        connection = await connect(self._stack.servers["valkey"].url)  # type: ignore[attr-defined]
        try:
            return records.decode([page async for page in records.read(connection.ask, self._prefix)])
        finally:
            await connection.end()

    async def shown(self) -> dict[Place, tuple[int, int, int]]:
        """(sku, location) → (ats, held, committed) as the API says."""
        client = Client(self._stack.api_url, self._stack.keys.api_key)
        body = json.encode({"skus": [*SCARCE, *PLAIN]})
        answer = await client.ask("POST", "/v1/availability/query", body)
        for _ in range(_TIMES):  # reads are the first to be shed, for a while also behind what was too much
            if answer.status != 503:
                break
            await asyncio.sleep(1)
            answer = await client.ask("POST", "/v1/availability/query", body)
        client.close()
        listed = documents.availability_list(answer.body).availability
        return {(item.sku, at.location): (at.ats, at.held, at.committed) for item in listed for at in item.locations}

    async def events(self) -> list[str]:
        """ce-ids of all events about reservations, in stream order."""
        js = self.nc.jetstream(timeout=5)
        config = ConsumerConfig(ack_policy=AckPolicy.NONE, headers_only=True, inactive_threshold=60)
        subscription = await js.pull_subscribe(_EVENTS, stream="ATP", config=config)
        ids: list[str] = []
        waiting = (await subscription.consumer_info()).num_pending or 0
        while len(ids) < waiting:
            batch = await subscription.fetch(min(1_000, waiting - len(ids)), timeout=10)
            ids += [(message.headers or {}).get("ce-id", "") for message in batch]
        await subscription.unsubscribe()
        return ids

    async def dead_letters(self) -> int:
        """Messages set aside."""
        with suppress(NatsError):
            return (await self.nc.jetstream(timeout=5).stream_info("STOCK_DLQ")).state.messages
        return 0


async def connect_nats(url: str) -> Nats:
    """A connection that outlives its server, and fails at once while that is away."""

    async def quiet(_: object = None) -> None:
        """Outages are what the tests are about."""

    return await nats.connect(
        url,
        max_reconnect_attempts=-1,
        reconnect_time_wait=0.1,
        pending_size=0,
        error_cb=quiet,
        disconnected_cb=quiet,
        reconnected_cb=quiet,
    )


def clock_offset() -> float:
    """What the wall clock is ahead of the monotonic one, seconds."""
    return time.time() - time.monotonic()
