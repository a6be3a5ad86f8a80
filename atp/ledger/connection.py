"""One connection to the ledger's server: calls go out in order, replies come back in order, and nothing else happens.

No pool, no retry, no reconnect: a lost or late reply ends the connection, because the next reply on it could belong
to another call (research/reliability.md §6). Callers never wait on the socket themselves, so a cancelled request
cannot leave a reply unread.
"""

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import cast
from urllib.parse import unquote, urlsplit

import hiredis

from atp.ledger.errors import LedgerUnavailable

#: A server that is there answers the greeting at once; one that is stopped still accepts connections.
CONNECT_TIMEOUT_S = 0.25
REPLY_TIMEOUT_S = 5.0


class ServerRefused(Exception):
    """The server answered with an error; the message starts with its code."""


class Connection(asyncio.Protocol):
    """Use ``connect``; then ``call`` returns a future that gets the reply, a ServerRefused, or a ConnectionError."""

    def __init__(self) -> None:
        self._reader = hiredis.Reader(replyError=ServerRefused)
        self._waiting: deque[asyncio.Future] = deque()
        self._transport: asyncio.Transport | None = None
        self._lost = asyncio.Event()
        self.closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one without being derived from it

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        while (reply := self._reader.gets()) is not False:
            if not self._waiting:
                self.close()
                return
            future = self._waiting.popleft()
            if future.done():
                continue
            if isinstance(reply, ServerRefused):
                future.set_exception(reply)
            else:
                future.set_result(reply)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        self._lost.set()
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_exception(ConnectionError(f"connection to the ledger lost: {exc or 'closed'}"))

    def call(self, *words: bytes | str | int) -> asyncio.Future:
        """Send one command now; raises ConnectionError if the connection is closed, so nothing was sent."""
        if self.closed or self._transport is None:
            raise ConnectionError("connection to the ledger is closed")
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        self._transport.write(hiredis.pack_command(words))  # pyright: ignore[reportArgumentType] - its stub says a 1-tuple
        return future

    async def ask(self, *words: bytes | str | int, timeout_s: float = REPLY_TIMEOUT_S):
        """``call`` with a deadline; a late reply closes the connection and raises TimeoutError."""
        future = self.call(*words)
        late = asyncio.get_running_loop().call_later(timeout_s, self._give_up, future)
        try:
            return await future
        finally:
            late.cancel()

    def _give_up(self, future: asyncio.Future) -> None:
        if not future.done():
            future.set_exception(TimeoutError())
            self.close()

    def close(self) -> None:
        """End the connection now; calls without a reply fail with ConnectionError."""
        self.closed = True
        if self._transport is not None:
            self._transport.abort()

    async def end(self) -> None:
        """``close``, and wait until the socket is gone."""
        self.close()
        await self._lost.wait()


async def connect(url: str, timeout_s: float = CONNECT_TIMEOUT_S) -> Connection:
    """Open, authenticate and select; raises LedgerUnavailable with the address (never the password)."""
    parts = urlsplit(url)
    host, port = parts.hostname or "127.0.0.1", parts.port or 6379
    loop = asyncio.get_running_loop()
    connection: Connection | None = None
    try:
        async with asyncio.timeout(timeout_s):
            ssl = True if parts.scheme == "rediss" else None
            _, connection = await loop.create_connection(Connection, host, port, ssl=ssl)
            for words in _greeting(parts.username, parts.password, parts.path):
                await connection.call(*words)
    except (OSError, TimeoutError, ServerRefused, asyncio.CancelledError) as problem:
        if connection is not None:
            connection.close()
        if isinstance(problem, asyncio.CancelledError):
            raise
        raise LedgerUnavailable(f"cannot use the ledger at {host}:{port}: {problem or 'no answer'}") from problem
    return connection


def _greeting(username: str | None, password: str | None, path: str) -> Iterable[tuple[str, ...]]:
    if password:
        yield ("AUTH", unquote(username) if username else "default", unquote(password))
    # Never nothing: a server that has too many clients accepts one more and says so in answer to its first command.
    if (database := path.strip("/")) or not password:
        yield ("SELECT", database or "0")
