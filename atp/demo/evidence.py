"""What the checks read beside the API: PostgreSQL, NATS, and where the ledger ends."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files

import asyncpg
import nats
from nats.aio.client import Client as Nats
from nats.errors import Error as NatsError
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from atp.config import Config
from atp.dev.state import Endpoints
from atp.wiring import open_ledger

_NAMED = re.compile(r"^-- name: (\w+)\n(?:--.*\n)*", re.MULTILINE)
_PARTS = _NAMED.split(files("atp.demo").joinpath("evidence.sql").read_text())
_SQL = dict(zip(_PARTS[1::2], _PARTS[2::2], strict=True))

_QUERY_S = 30.0
_FETCH = 500
_FETCH_S = 10.0

Heads = dict[int, int]


class Evidence:
    """Reads; nothing here changes anything. Use ``open_evidence``."""

    def __init__(self, endpoints: Endpoints, config: Config, pool: asyncpg.Pool, nc: Nats) -> None:
        self.endpoints = endpoints
        self._config = config
        self._pool = pool
        self.nc = nc
        self.js = nc.jetstream(timeout=5)

    async def rows(self, name: str, *arguments: object) -> list[asyncpg.Record]:
        """The rows of a query of ``evidence.sql``."""
        return await self._pool.fetch(_SQL[name], *arguments)

    async def value(self, name: str, *arguments: object) -> int:
        """The single number of a query of ``evidence.sql``."""
        return await self._pool.fetchval(_SQL[name], *arguments)

    async def journal_heads(self) -> tuple[Heads, Heads]:
        """(journaled, published) by partition."""
        rows = await self.rows("heads")
        return {row["partition"]: row["seq"] for row in rows}, {row["partition"]: row["published"] for row in rows}

    async def ledger_heads(self) -> Heads:
        """The last seq of every partition of the ledger itself."""
        async with open_ledger(self._config, None) as ledger:
            return {partition: head.seq for partition, head in enumerate(await ledger.heads())}

    async def last_message(self, stream: str) -> int:
        """The last sequence of a stream; 0 if there is none."""
        try:
            return (await self.js.stream_info(stream)).state.last_seq
        except NatsError:
            return 0

    async def messages(self, stream: str, subject: str, after: int) -> list[tuple[str, dict[str, str]]]:
        """(subject, headers) of all messages behind a stream sequence."""
        consumer = ConsumerConfig(
            filter_subject=subject,
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=after + 1,
            ack_policy=AckPolicy.NONE,
            headers_only=True,
            inactive_threshold=60,
        )
        subscription = await self.js.pull_subscribe(subject, stream=stream, config=consumer)
        found: list[tuple[str, dict[str, str]]] = []
        try:
            waiting = (await subscription.consumer_info()).num_pending or 0
            while len(found) < waiting:
                batch = await subscription.fetch(min(_FETCH, waiting - len(found)), timeout=_FETCH_S)
                found += [(message.subject, message.headers or {}) for message in batch]
        finally:
            await subscription.unsubscribe()
        return found


@asynccontextmanager
async def open_evidence(endpoints: Endpoints, config: Config) -> AsyncIterator[Evidence]:
    """Connections of our own; both come back by themselves after their server was away."""

    async def quiet(_: object = None) -> None:
        """Outages are part of a demo; who asks finds out."""

    nc = await nats.connect(
        endpoints.nats,
        name="atp demo",
        max_reconnect_attempts=-1,
        reconnect_time_wait=0.2,
        pending_size=0,  # while the server is away publishing fails at once, and the feeder repeats
        error_cb=quiet,
        disconnected_cb=quiet,
        reconnected_cb=quiet,
    )
    try:
        pool = await asyncpg.create_pool(
            endpoints.postgres, min_size=0, max_size=2, command_timeout=_QUERY_S, timeout=10
        )
        try:
            yield Evidence(endpoints, config, pool, nc)
        finally:
            pool.terminate()
    finally:
        await nc.close()
