"""What the peers on PostgreSQL have in common: the tables, a pool, and a bare ASGI application around ``reserve``."""

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import asyncpg
import msgspec

from atp.api.resources.requests import ReserveBody
from atp.bench.hosting import host
from atp.bench.peers import Peer, Stack, Stored

#: Connections of the pool: one transaction at a time has the row, and more that wait for it only keep the server busy.
POOL = 16

_TABLES = """
create table stock (sku text primary key, free bigint not null check (free >= 0));
create table reservation (
    id bigint generated always as identity primary key,
    sku text not null, quantity bigint not null, expires_at timestamptz not null default now() + interval '10 minutes'
)
"""
_HEADERS = [(b"content-type", b"application/json")]

Reserve = Callable[[Any, str, int], Awaitable[int | None]]


class PostgresPeer(Peer):
    """Its database is its own; the server is shared with the other peers."""

    database: str

    @classmethod
    @asynccontextmanager
    async def start(cls, stack: Stack, file: str) -> AsyncIterator[Self]:
        """The program ``file`` on a new database."""
        database = await stack.postgres.create_database(Path(file).stem)
        async with cls._connected(database) as connection:
            await connection.execute(_TABLES)
        async with stack.program(file, database) as (url, pid):
            peer = cls(url, {"app": pid, "postgres": stack.postgres.pid})
            peer.database = database
            yield peer

    async def seed(self, sku: str, units: int) -> None:
        async with self._connected(self.database) as connection:
            await connection.execute("insert into stock values ($1, $2)", sku, units)

    async def stored(self, sku: str) -> Stored:
        async with self._connected(self.database) as connection:
            free = await connection.fetchval("select free from stock where sku = $1", sku)
            made = await connection.fetchval("select count(*) from reservation where sku = $1", sku)
            return Stored(free or 0, made or 0)

    @staticmethod
    @asynccontextmanager
    async def _connected(database: str) -> AsyncIterator[asyncpg.Connection]:
        connection = await asyncpg.connect(database, timeout=10, command_timeout=60)
        try:
            yield connection
        finally:
            await connection.close(timeout=5)


def serve(reserve: Reserve) -> None:
    """Run as ``FILE DATABASE PORT``."""
    host(App(reserve, sys.argv[1]), int(sys.argv[2]))


class App:
    """Bare ASGI: nothing between the server and ``reserve`` but JSON."""

    def __init__(self, reserve: Reserve, database: str) -> None:
        self._reserve, self._database = reserve, database
        self._decode = msgspec.json.Decoder(ReserveBody).decode

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        message = await receive()
        body = message["body"]
        while message.get("more_body") and len(body) < 65_536:
            message = await receive()
            body += message["body"]
        (line,) = self._decode(body).lines
        async with self._pool.acquire() as connection:
            id = await self._reserve(connection, line.sku, line.quantity)
        await send({"type": "http.response.start", "status": 409 if id is None else 201, "headers": _HEADERS})
        answer = {"id": str(id), "sku": line.sku, "quantity": line.quantity, "state": "held" if id else "refused"}
        await send({"type": "http.response.body", "body": msgspec.json.encode(answer)})

    async def _lifespan(self, receive: Any, send: Any) -> None:
        await receive()
        self._pool = await asyncpg.create_pool(self._database, min_size=POOL, max_size=POOL)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self._pool.terminate()
        await send({"type": "lifespan.shutdown.complete"})
