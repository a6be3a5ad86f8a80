"""Storing: many records, written by plain commands that the server carries out for one rebuilder only (R2).

A command costs the server a third of what a function takes for the same records. In place of the function's check the
keys that say whose rebuild it is are watched, and the transaction that follows is refused whole if one of them changed.
"""

import asyncio
from typing import Any

from atp.ledger.connection import Connection, ServerRefused
from atp.ledger.errors import LedgerError
from atp.ledger.records import Page, command

#: For one transaction.
TIMEOUT_S = 60.0

#: Items of one transaction: a few milliseconds of the server, which answers others in between.
ITEMS_MAX = 16_000


class Superseded(LedgerError):
    """Another process rebuilds this partition, or has rebuilt it: nothing more of ours is written."""


class Storing:
    """The writes of the rebuilder with the ``token``, on a connection that nobody else uses meanwhile.

    While the server stores what was sent last, the caller makes the next. Raises Superseded, and what Connection does.
    """

    def __init__(self, connection: Connection, prefix: str, token: str) -> None:
        self._connection = connection
        self._prefix = prefix
        self._token = token.encode()
        self._pages: list[Page] = []
        self._items = 0
        self._sent = self._watch()

    async def write(self, page: Page) -> None:
        """Store the page with those that follow it; pages of a list in their order."""
        self._pages.append(page)
        self._items += len(page.items)
        if self._items >= ITEMS_MAX:
            await self._send()

    async def flush(self) -> None:
        """Wait until everything is stored."""
        await self._send()
        await self._stored()

    async def _send(self) -> None:
        await self._stored()
        calls = [self._connection.call("MULTI")]
        calls += [self._connection.call(*command(self._prefix, page)) for page in self._pages]
        calls.append(self._connection.call("EXEC"))
        self._sent = calls + self._watch()
        self._pages, self._items = [], 0
        await asyncio.sleep(0)  # what the socket did not take at once goes on its way meanwhile

    def _watch(self) -> list[asyncio.Future]:
        rebuild, meta = self._prefix + "rebuild", self._prefix + "meta"
        call = self._connection.call
        return [call("WATCH", rebuild, meta), call("HGET", rebuild, "token"), call("EXISTS", meta)]

    async def _stored(self) -> None:
        """Wait for what was sent, and for the word that the next may follow."""
        async with asyncio.timeout(TIMEOUT_S):
            replies = await asyncio.gather(*self._sent, return_exceptions=True)
        for reply in replies:
            if isinstance(reply, BaseException):
                raise reply
        *stored, _, token, opened = replies
        done: Any = stored[-1] if stored else []
        if done is None or opened or token != self._token:
            raise Superseded("another process rebuilds this partition, or has rebuilt it")
        for reply in done:
            if isinstance(reply, ServerRefused):
                raise reply
