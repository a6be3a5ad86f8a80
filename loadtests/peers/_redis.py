"""What the peers on Valkey have in common: the script, its keys, and how it is called from Python."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self
from uuid import uuid4

from redis.asyncio import Redis

from atp.bench.peers import Peer, Stack, Stored

SCRIPT = Path(__file__).with_name("reserve.lua")


class ValkeyPeer(Peer):
    """Its keys begin with ``prefix``; the server is shared with the other peers."""

    def __init__(self, url: str, pids: dict[str, int], valkey: str, prefix: str) -> None:
        super().__init__(url, pids)
        self._valkey, self._prefix = valkey, prefix

    @classmethod
    @asynccontextmanager
    async def start(cls, stack: Stack, file: str) -> AsyncIterator[Self]:
        """The program ``file``, a Python one."""
        prefix, valkey = Path(file).stem, stack.valkey
        async with stack.program(file, valkey.url, prefix) as (url, pid):
            yield cls(url, {"app": pid, "valkey": valkey.pid}, valkey.url, prefix)

    async def seed(self, sku: str, units: int) -> None:
        async with Redis.from_url(self._valkey, protocol=2) as redis:
            await redis.set(f"{self._prefix}:stock:{sku}", units)

    async def stored(self, sku: str) -> Stored:
        async with Redis.from_url(self._valkey, protocol=2) as redis:
            found = redis.scan_iter(f"{self._prefix}:reservation:{sku}:*", count=10_000)
            return Stored(int(await redis.get(f"{self._prefix}:stock:{sku}") or 0), len([key async for key in found]))


class Reservations:
    """One call of the script per request, on a connection of the client's pool."""

    def __init__(self, valkey: str, prefix: str) -> None:
        self._call = Redis.from_url(valkey, protocol=2).register_script(SCRIPT.read_text())
        self._prefix = prefix

    async def reserve(self, sku: str, quantity: int, ttl_seconds: int) -> str | None:
        """The id of a new reservation; None when too little is free."""
        id, expires_at = uuid4().hex, time.time_ns() // 1_000_000 + ttl_seconds * 1_000
        keys = [f"{self._prefix}:stock:{sku}", f"{self._prefix}:reservation:{sku}:{id}"]
        return id if await self._call(keys, [quantity, expires_at]) >= 0 else None
