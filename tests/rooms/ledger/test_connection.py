"""A reply that is late ends its connection; a caller that goes away does not."""

import asyncio

import pytest

from tests.support import connected

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
