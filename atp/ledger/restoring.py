"""Restoring: the steps by which one process makes a partition anew, each refused once another process began (R2).

``lua/rebuild.lua`` has the other side. What to restore, and when, is decided in ``atp/rebuild``.
"""

import secrets
from collections.abc import AsyncIterator, Awaitable, Sequence
from typing import Any

from msgspec import Struct

from atp.domain.entries import AnyEntry
from atp.domain.exceptions import Kind, subject
from atp.ledger import keys, library, wire
from atp.ledger.connection import Connection, ServerRefused, connect
from atp.ledger.errors import LedgerRecovering, LedgerUnavailable
from atp.ledger.loading import load_library
from atp.ledger.records import Page, read
from atp.ledger.storing import Storing, Superseded

#: A copy of all records takes the server a while.
STEP_TIMEOUT_S = 60.0

#: Keys of one call: what Lua's unpack takes.
KEYS_MAX = 2_000

#: Keys that a new epoch keeps: who works here, what others have seen, and whose rebuild it is.
_KEPT = ("lease:", "witness", "rebuild", "progress")


class Seen(Struct, frozen=True):
    """What witnesses among the processes know."""

    epoch: int = 0
    seq: int = 0


class Restoring:
    """One process's attempt at one partition. Raises LedgerUnavailable when the server is away."""

    def __init__(self, url: str, namespace: str, partition: int) -> None:
        self.partition = partition
        self.token = secrets.token_hex(12)
        self._url = url
        self._prefix = keys.prefix(namespace, partition)
        self._meta = keys.meta(namespace, partition)
        self._connection: Connection | None = None
        self._storing: Storing | None = None

    async def close(self) -> None:
        """Let go of the connection."""
        if self._connection is not None:
            await self._connection.end()

    # -- the steps, in their order -----------------------------------------------------------------------------------

    async def head(self) -> tuple[int, int]:
        """(epoch, seq) of the ledger as it is; (0, 0) of one that is not there."""
        epoch, seq = await self._ask("HMGET", self._prefix + "meta", "epoch", "seq")
        return int(epoch or 0), int(seq or 0)

    async def seen(self) -> Seen:
        """The highest that processes have told of."""
        told = await self._ask("HVALS", self._prefix + "witness")
        pairs = [tuple(map(int, value.split())) for value in told]
        return Seen(max((epoch for epoch, _ in pairs), default=0), max((seq for _, seq in pairs), default=0))

    async def begin(self, epoch: int) -> None:
        """End the ``epoch`` (0: there is none): from here on every batch is refused. Raises Superseded."""
        await self._step("begin", str(epoch) if epoch else "")

    async def outbox(self, after: int, limit: int) -> list[AnyEntry]:
        """Entries that the ledger before left, behind ``after``."""
        items = await self._ask("XRANGE", self._prefix + "outbox", f"({after}-0", "+", "COUNT", limit)
        entries = [entry for _, fields in items for entry in wire.decode_entries(fields)]
        return [entry for entry in entries if entry.seq > after]

    async def wipe(self) -> None:
        """Throw away what is left of the ledger before."""
        async for names in self._keys():
            gone = [self._prefix + name for name in names if not name.startswith(_KEPT)]
            for start in range(0, len(gone), KEYS_MAX):
                await self._step("wipe", *gone[start : start + KEYS_MAX])

    async def write(self, page: Page) -> None:
        """Store some records, soon; ``flush`` waits for them. Raises Superseded."""
        if self._storing is None:
            self._storing = Storing(await self._connected(), self._prefix, self.token)
        await _answer(self._storing.write(page))

    async def flush(self) -> None:
        """Wait until everything written is stored. Raises Superseded."""
        if self._storing is not None:
            await _answer(self._storing.flush())

    async def open(self, epoch: int, before: int, meta: Sequence[bytes], loss: str, *, accepted: bool) -> int:
        """Begin the epoch behind the seq ``before``, and serve; the head's seq. ``loss``: what is gone, or empty."""
        return await self._step("open", epoch, before, loss, "1" if accepted else "", *meta)

    async def show(self, phase: str, done: int, total: int) -> None:
        """Let people see how far it is."""
        await self._ask("HSET", self._prefix + "progress", "phase", phase, "done", done, "total", total)

    async def shown(self) -> dict[str, str]:
        """How far a rebuild is, of whichever process; empty when there is none."""
        stored = await self._ask("HGETALL", self._prefix + "progress")
        return {name.decode(): value.decode() for name, value in zip(stored[::2], stored[1::2], strict=True)}

    async def loss(self) -> int:
        """The seq of the entry that told of a loss nobody has accepted, 0 if there is none."""
        key = subject(Kind.LOSS, "", "", "", "")
        return int(await self._ask("HGET", self._prefix + "exception", key) or 0)

    # -- a copy of a living ledger -----------------------------------------------------------------------------------

    async def freeze(self) -> tuple[int, int, int]:
        """Copy all records in one step; (epoch, seq, ms) of that instant. The server answers nobody meanwhile."""
        await self.thaw()
        epoch, seq, now = await self._ask("FCALL", library.function("freeze"), 1, self._meta)
        return epoch, seq, now

    def frozen(self) -> AsyncIterator[Page]:
        """The copy in pages."""
        return read(self._ask, self._prefix + "frozen:")

    async def thaw(self) -> None:
        """Give the copy's memory back."""
        async for names in self._keys("frozen:"):
            await self._ask("UNLINK", *(self._prefix + name for name in names))

    # -- inside ------------------------------------------------------------------------------------------------------

    async def _keys(self, below: str = "") -> AsyncIterator[list[str]]:
        """Names of the partition's keys, in pages."""
        cursor = b"0"
        while True:
            cursor, found = await self._ask("SCAN", cursor, "MATCH", f"{self._prefix}{below}*", "COUNT", 5_000)
            if found:
                yield [name.decode().removeprefix(self._prefix) for name in found]
            if int(cursor) == 0:
                return

    async def _step(self, function: str, *words: bytes | str | int) -> Any:
        return await self._ask("FCALL", library.function(function), 1, self._meta, self.token, *words)

    async def _ask(self, *words: bytes | str | int) -> Any:
        connection = await self._connected()
        return await _answer(connection.ask(*words, timeout_s=STEP_TIMEOUT_S))

    async def _connected(self) -> Connection:
        if self._connection is None or self._connection.closed:
            connection = await connect(self._url, 1.0)
            try:
                await _answer(load_library(connection))
            except BaseException:
                connection.close()  # without the library it would be of no use to the next call
                raise
            self._connection = connection
        return self._connection


async def _answer[T](work: Awaitable[T]) -> T:
    try:
        return await work
    except (TimeoutError, ConnectionError) as problem:
        raise LedgerUnavailable(f"the ledger does not answer: {problem or 'timeout'}") from problem
    except ServerRefused as refused:
        message = str(refused)
        if message.startswith(("SUPERSEDED", "OPENED")):
            raise Superseded(message) from refused
        if message.startswith("EMPTY"):
            raise LedgerRecovering(message) from refused
        raise LedgerUnavailable(message) from refused
