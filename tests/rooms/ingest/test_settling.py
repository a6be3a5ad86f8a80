"""When an idle stream's cursor is written: at once behind the last message, and seldom all the same."""

import pytest
from msgspec import structs

from atp.ingest import feed
from tests.support import wait_until_async

pytestmark = pytest.mark.anyio


async def test_the_cursor_of_an_idle_stream_is_written_at_once_and_then_not_for_a_while(room):
    room.settings = structs.replace(room.settings, settle_after_ms=3_600_000, heartbeat_s=30, request_s=90)
    first = await room.publish(feed.level("wms", "e1", [("A", "DC1", 1)], sequence=1))
    consumer = room.start()
    await room.settled(first)
    second = await room.publish(feed.level("wms", "e2", [("A", "DC1", 2)], sequence=2))
    await wait_until_async(lambda: consumer.counters.messages == 2, description="the second was judged")
    assert await room.ledger.cursor(room.settings.key) == first
    await room.finish()  # who stops says so
    assert await room.ledger.cursor(room.settings.key) == second
