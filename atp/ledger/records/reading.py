"""Reading the pages of a partition from a server, key by key; a consistent set only where nobody writes meanwhile."""

from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import batched
from typing import Any

from atp.ledger import keys
from atp.ledger.records.page import PAGE_ITEMS, Page

#: Sends one command and brings its reply.
Ask = Callable[..., Awaitable[Any]]

#: Keys that are no state.
LEFT_OUT = {"sessions", "outbox", "lease", "witness", "rebuild", "progress", "quota", "room", "early", "frozen"}

_TYPES = {key.pattern.partition(":")[0]: key.type for key in keys.TABLE}


async def read(ask: Ask, prefix: str) -> AsyncIterator[Page]:
    """Every page below ``prefix``, of the live partition or of a copy of it."""
    for name in sorted(await _names(ask, prefix)):
        kind = name.partition(":")[0]
        if kind not in _TYPES or kind in LEFT_OUT:
            continue
        pages = _READ[_TYPES[kind]](ask, prefix + name)
        async for items in pages:
            yield Page(name, _TYPES[kind], items)


async def _names(ask: Ask, prefix: str) -> set[str]:
    """All keys of the partition: a few dozen, and one for each memory of deltas."""
    found: set[str] = set()
    cursor = b"0"
    while True:
        cursor, names = await ask("SCAN", cursor, "MATCH", prefix + "*", "COUNT", PAGE_ITEMS)
        found.update(name.decode().removeprefix(prefix) for name in names)
        if cursor == b"0":
            return found


async def _hash(ask: Ask, key: str) -> AsyncIterator[list[bytes]]:
    """A field that the server tells twice is told the same."""
    cursor = b"0"
    while True:
        cursor, items = await ask("HSCAN", key, cursor, "COUNT", PAGE_ITEMS)
        if items:
            yield items
        if cursor == b"0":
            return


async def _list(ask: Ask, key: str) -> AsyncIterator[list[bytes]]:
    first = 0
    while items := await ask("LRANGE", key, first, first + PAGE_ITEMS - 1):
        yield items
        first += PAGE_ITEMS


async def _scores(ask: Ask, key: str) -> AsyncIterator[list[bytes]]:
    first = 0
    while items := await ask("ZRANGE", key, first, first + PAGE_ITEMS - 1, "WITHSCORES"):
        yield [word for member, score in batched(items, 2) for word in (score, member)]
        first += PAGE_ITEMS


_READ = {"hash": _hash, "list": _list, "zset": _scores}
