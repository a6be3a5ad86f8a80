"""A small HTTP/1.1 client: one kept-alive connection, one request at a time.

Load that is generated on the machine it is meant for must cost little; a general client costs more than the service
itself does. It speaks only what the API answers: bodies with a Content-Length.
"""

import asyncio
from urllib.parse import urlsplit

from msgspec import Struct

#: Silence after which the answer is given up; what became of the request is then unknown.
ANSWER_S = 5.0


class Answer(Struct):
    """What came back; header names in lower case."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes


class NoAnswer(Exception):
    """The request may have been applied, or never have arrived."""


class Client:
    """Connects when asked something, and again after the connection was lost."""

    def __init__(self, url: str, key: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._fixed = f"Host: {parts.netloc}\r\nAuthorization: Bearer {key}\r\n"
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._waiting: asyncio.Future[Answer] | None = None

    async def ask(
        self, method: str, path: str, body: bytes = b"", key: str = "", timeout_s: float = ANSWER_S
    ) -> Answer:
        """One request. ``key`` is its Idempotency-Key. Raises NoAnswer."""
        head = f"{method} {path} HTTP/1.1\r\n{self._fixed}Content-Length: {len(body)}\r\n"
        if body:
            head += "Content-Type: application/json\r\n"
        if key:
            head += f"Idempotency-Key: {key}\r\n"
        try:
            async with asyncio.timeout(timeout_s):
                transport = self._transport or await self._connect()
                self._waiting = asyncio.get_running_loop().create_future()
                transport.write(head.encode() + b"\r\n" + body)
                return await self._waiting
        except (OSError, TimeoutError) as error:
            self.close()  # an answer that comes late must not be taken for the next one's
            raise NoAnswer(str(error) or type(error).__name__) from error
        finally:
            self._waiting = None

    def close(self) -> None:
        """Drop the connection, with whatever is under way on it."""
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    async def _connect(self) -> asyncio.Transport:
        self._buffer = b""
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_connection(lambda: _Wire(self), self._host, self._port)
        return self._transport

    def received(self, transport: asyncio.BaseTransport | None, data: bytes) -> None:
        """Take bytes; those of a connection that was given up concern nobody."""
        if transport is not self._transport:
            return
        self._buffer += data
        head, end, rest = self._buffer.partition(b"\r\n\r\n")
        if not end:
            return
        first, *lines = head.split(b"\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
        length = int(headers.get(b"content-length", b"0"))
        if len(rest) < length:
            return
        self._buffer = rest[length:]
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(Answer(int(first.split(b" ", 2)[1]), headers, rest[:length]))

    def lost(self, transport: asyncio.BaseTransport | None) -> None:
        """The connection ended."""
        if transport is not self._transport:
            return
        self._transport = None
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(ConnectionResetError("the connection was lost"))


class _Wire(asyncio.Protocol):
    """One connection; it tells the client which one speaks."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._transport: asyncio.BaseTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._client.received(self._transport, data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._client.lost(self._transport)
