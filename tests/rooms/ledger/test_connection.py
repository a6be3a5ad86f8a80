"""A reply that is late ends its connection; a caller that goes away does not."""

import asyncio

import pytest

from atp.dev.valkey import Valkey
from atp.domain.outcomes import Outcome
from atp.ledger import LedgerUnavailable
from atp.ledger.connection import connect
from tests.support import connected, patient_ledger, wait_until_async

from .conftest import Opening
from .made import level, reserve

pytestmark = pytest.mark.anyio


async def test_a_late_reply_ends_the_connection_for_everybody_on_it(valkey: str, namespace: str) -> None:
    connection = await connected(valkey)
    try:
        asked = connection.ask("BLPOP", f"{namespace}:nothing", 30, timeout_s=0.05)
        behind = asyncio.create_task(connection.ask("PING"))  # its reply would come right behind the late one
        with pytest.raises(TimeoutError):
            await asked
        assert connection.closed
        with pytest.raises(ConnectionError):
            await behind
        with pytest.raises(ConnectionError):
            await connection.ask("PING")
    finally:
        await connection.end()


async def test_a_caller_that_goes_away_leaves_the_others_their_replies(valkey: str, namespace: str) -> None:
    connection = await connected(valkey)
    try:
        gone = asyncio.create_task(connection.ask("BLPOP", f"{namespace}:nothing", "0.05", timeout_s=5))
        behind = [asyncio.create_task(connection.ask("ECHO", text)) for text in "ab"]
        await asyncio.sleep(0)  # all are sent now
        gone.cancel()
        assert await asyncio.gather(*behind) == [b"a", b"b"]
        assert gone.cancelled()
        assert not connection.closed
    finally:
        await connection.end()


async def test_a_server_with_too_many_clients_is_away_and_has_decided_nothing(
    open_ledger: Opening, own_valkey: Valkey
) -> None:
    """It takes one more, and refuses its first command: without a password that was a batch."""
    server = await connected(own_valkey.url)
    await server.ask("CONFIG", "SET", "requirepass", "")
    url = f"redis://{own_valkey.host}:{own_valkey.port}"
    ledger = await open_ledger(patient_ledger(url))
    await ledger.apply([level("A", 1)])
    await server.ask("CONFIG", "SET", "maxclients", 1)
    await server.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    with pytest.raises(LedgerUnavailable, match="cannot use the ledger"):
        await connect(url)
    waiting = ledger.submit(reserve("a"))

    async def refused() -> bool:
        return int((await server.ask("INFO", "stats")).split(b"rejected_connections:")[1].split()[0]) > 10

    await wait_until_async(refused, description="connections were refused")
    await server.ask("CONFIG", "SET", "maxclients", 1_000)
    assert (await waiting).outcome is Outcome.APPLIED
    await server.end()
