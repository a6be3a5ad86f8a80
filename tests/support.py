"""What every test may use."""

import asyncio
import inspect
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import asyncpg
from msgspec import structs

from atp.journal import JournalSettings
from atp.ledger import Ledger, LedgerSettings, Limits
from atp.ledger.connection import Connection, connect

#: For tests that are not about timeouts: a machine that stands still for seconds has lost no answer.
PATIENT = Limits(batch_timeout_s=10.0, command_deadline_s=15.0, read_timeout_s=10.0)


class NeverCame(AssertionError):
    """A condition that a test waited for did not become true in time."""


def patient_ledger(url: str, namespace: str = "atp", partitions: int = 1, **named: Any) -> LedgerSettings:
    """Settings of a ledger with the limits of ``PATIENT``; ``named`` are other limits, and fields of the settings."""
    own = {name: named.pop(name) for name in list(named) if name in LedgerSettings.__struct_fields__}
    return LedgerSettings(url, namespace, partitions, limits=structs.replace(PATIENT, **named), **own)


@contextmanager
def hurried(ledger: Ledger, **limits: float) -> Iterator[None]:
    """Its callers wait no longer than ``limits`` say in here: what comes before and after is not what is tested."""
    hasty = structs.replace(PATIENT, **limits)
    parts = [(batcher, batcher.limits) for batcher in ledger._batchers]
    readers = [(reader, reader.timeout_s) for reader in ledger._readers]
    for batcher, _ in parts:
        batcher.limits = hasty
    for reader, _ in readers:
        reader.timeout_s = limits.get("read_timeout_s", 1.0)
    try:
        yield
    finally:
        for batcher, before in parts:
            batcher.limits = before
        for reader, before in readers:
            reader.timeout_s = before


async def connected(url: str) -> Connection:
    """A connection of the test's own to the ledger's server."""
    return await connect(url, PATIENT.read_timeout_s)


@asynccontextmanager
async def asking(database: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to PostgreSQL, closed even if the test fails: one that stays open keeps the loop from ending."""
    connection = await asyncpg.connect(database)
    try:
        yield connection
    finally:
        await connection.close(timeout=10)


def patient_journal(url: str, namespace: str = "atp", **named: Any) -> JournalSettings:
    """Settings of a journal whose database may take its time."""
    times: dict[str, Any] = {"connect_s": 10.0, "acquire_s": 20.0, "query_s": 30.0, "append_s": 30.0}
    return JournalSettings(url, namespace, **times | named)


def wait_until(predicate: Callable[[], object], timeout: float = 10.0, description: str = "") -> None:
    """Ask ``predicate`` until it is true; NeverCame names ``description`` when it is not within ``timeout`` seconds."""
    deadline = time.monotonic() + timeout
    while not predicate():
        if time.monotonic() > deadline:
            raise NeverCame(f"not within {timeout} s: {description or predicate}")
        time.sleep(0.01)


async def wait_until_async(
    predicate: Callable[[], object | Awaitable[object]],
    timeout: float = 10.0,
    description: str = "",
) -> None:
    """``wait_until`` for the event loop; the predicate may be a plain or an async function."""
    deadline = time.monotonic() + timeout
    while True:
        answer = predicate()
        if inspect.isawaitable(answer):
            answer = await answer
        if answer:
            return
        if time.monotonic() > deadline:
            raise NeverCame(f"not within {timeout} s: {description or predicate}")
        await asyncio.sleep(0.01)
