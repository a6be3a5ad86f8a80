"""Reads of one partition: questions that arrive together are asked together, on a connection of their own.

The ledger has one thread, so a call of readings has a bound, too (R28): the script answers what it may take time for,
and the rest is asked again behind the calls that waited meanwhile. What a sku costs to read varies by a factor of
hundreds with its locations, and only the script sees it: so it is told the bound, and not a number of queries.
"""

import asyncio
from collections import deque
from collections.abc import Sequence

import structlog

from atp.ledger import keys, library
from atp.ledger.connection import Connection, ServerRefused, connect
from atp.ledger.durability import on_replica
from atp.ledger.errors import LedgerRecovering, LedgerUnavailable
from atp.ledger.limits import Limits
from atp.ledger.loading import load_library
from atp.ledger.wire import WireCorrupt, decode_answers, decode_read, encode_queries
from atp.telemetry import REPLIES_MISMATCHED

log = structlog.get_logger("atp.ledger")

#: Queries asked in one call: more of the cheapest ones than it may take time for are sent in vain.
QUERIES_MAX = 256
#: Queries waiting; beyond it the caller is told at once.
WAITING_MAX = 8_192


class Reader:
    """Asks the library's read function; nothing it does can change the ledger. One call may take ``timeout_s``."""

    def __init__(self, url: str, namespace: str, partition: int, limits: Limits) -> None:
        self._url = url
        self._read_us = limits.read_us
        self.timeout_s = limits.read_timeout_s
        self.spent_us = 0  # of the server's CPU, by all readings so far
        self._prefix = keys.prefix(namespace, partition)
        self._meta = keys.meta(namespace, partition)
        self._connection: Connection | None = None
        self._connecting = asyncio.Lock()
        self._calls = 0
        self._waiting: deque[tuple[tuple, asyncio.Future]] = deque()
        self._task: asyncio.Task | None = None

    async def ask(self, *queries: tuple) -> list:
        """One answer per query, each of its own moment, a later one of none before. Raises LedgerUnavailable or
        LedgerRecovering."""
        if len(self._waiting) >= WAITING_MAX:
            raise LedgerUnavailable("too many reads are waiting")
        loop = asyncio.get_running_loop()
        futures = [loop.create_future() for _ in queries]
        self._waiting.extend(zip(queries, futures, strict=True))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())
        answers = await asyncio.gather(*futures, return_exceptions=True)
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer
        return answers

    async def command(self, *words: bytes | str | int, timeout_s: float = 0.0):
        """One plain server command (outbox, leases). Raises LedgerUnavailable when there is no answer."""
        try:
            try:
                return await (await self._connected()).ask(*words, timeout_s=timeout_s or self.timeout_s)
            except ServerRefused as refused:
                if "Function not found" not in str(refused):
                    raise
                connection = await self._connected()
                await load_library(connection)
                return await connection.ask(*words, timeout_s=timeout_s or self.timeout_s)
        except (TimeoutError, ConnectionError) as problem:
            raise LedgerUnavailable(f"the ledger does not answer: {problem or 'timeout'}") from problem
        except ServerRefused as refused:
            if str(refused).startswith("EMPTY"):
                raise LedgerRecovering(str(refused)) from refused
            raise LedgerUnavailable(str(refused)) from refused

    async def read_replicated(self, *words: bytes | str | int, timeout_s: float = 0.0):
        """``command``, answered once a replica's disk has what the answer shows, so that it may be told on (R6)."""
        connection = await self._connected()
        try:
            answer = await connection.ask(*words, timeout_s=timeout_s or self.timeout_s)
            # The wait covers what this connection wrote itself, so it writes something.
            await connection.ask("FCALL", library.function("lease"), 1, self._meta, "told", "all", 60_000)
            if await on_replica(connection, self.timeout_s):
                return answer
        except (TimeoutError, ConnectionError, ServerRefused) as problem:
            raise LedgerUnavailable(f"the ledger does not answer: {problem or 'timeout'}") from problem
        raise LedgerUnavailable("no replica of the ledger confirms what it is sent")

    async def watermark(self) -> tuple[int, int]:
        """The epoch, and the seq through which the journal has it. Raises LedgerUnavailable, LedgerRecovering."""
        epoch, trimmed = await self.command("HMGET", self._meta, "epoch", "trimmed")
        if epoch is None or trimmed is None:
            raise LedgerRecovering("no ledger here")
        return int(epoch), int(trimmed)

    def key(self, name: str) -> str:
        """The full name of one of this partition's keys."""
        return self._prefix + name

    async def call(self, function: str, *words: bytes | str | int):
        """One function of the library on this partition."""
        return await self.command("FCALL", library.function(function), 1, self._meta, *words)

    async def close(self) -> None:
        if self._task is not None:
            await self._task
        if self._connection is not None:
            await self._connection.end()

    async def _run(self) -> None:
        while self._waiting:
            asked = [self._waiting.popleft() for _ in range(min(len(self._waiting), QUERIES_MAX))]
            queries = [query for query, _ in asked]
            try:
                answers = await self._answers(queries)
            except Exception as problem:
                for _, future in asked:
                    if not future.done():
                        future.set_exception(_copy(problem))
                continue
            for (_, future), answer in zip(asked, answers, strict=False):
                if not future.done():
                    future.set_result(answer)
            self._waiting.extendleft(reversed(asked[len(answers) :]))

    async def _answers(self, queries: Sequence[tuple]) -> list:
        """To the first queries, one at least."""
        self._calls += 1
        data = await self.call("read", encode_queries(queries), self._calls, self._read_us)
        try:
            read = decode_read(data)
            answers = decode_answers(queries, read.answers)
        except WireCorrupt as problem:
            self._mismatched(str(problem))
            raise LedgerUnavailable(f"the ledger's answer cannot be read: {problem}") from problem
        if read.call != self._calls or not 0 < len(read.answers) <= len(queries):
            self._mismatched(f"{read.call} for {self._calls}, with {len(read.answers)} answers to {len(queries)}")
            raise LedgerUnavailable("the ledger's answer belongs to another call")
        self.spent_us += read.spent_us
        return answers

    def _mismatched(self, problem: str) -> None:
        """The next reply could belong to another call as well, so there must be none."""
        REPLIES_MISMATCHED.inc()
        log.error("reply belongs to another call; connection closed", problem=problem)
        if self._connection is not None:
            self._connection.close()

    async def _connected(self) -> Connection:
        async with self._connecting:
            if self._connection is None or self._connection.closed:
                self._connection = await connect(self._url, self.timeout_s)
            return self._connection


def _copy(problem: Exception) -> Exception:
    """A fresh exception for each of several waiters, so that their tracebacks do not grow into each other."""
    return type(problem)(*problem.args)
