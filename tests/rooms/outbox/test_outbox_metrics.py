"""What the outbox tells Prometheus: what went through, and what waits while somebody is away."""

from pathlib import Path

import nats as nats_client
import pytest
from prometheus_client import REGISTRY

from atp.dev.nats import Nats
from atp.dev.postgres import Postgres
from atp.telemetry import exposition
from tests.rooms.outbox.room import POLICIES, Room, confirm, level, reserve, reserves
from tests.support import wait_until_async

pytestmark = pytest.mark.anyio


def value(name: str, **labels: str) -> float:
    """A sample of this process, 0 before the first."""
    return REGISTRY.get_sample_value(name, labels) or 0.0


async def test_what_goes_through_is_counted(room: Room) -> None:
    before = value("atp_journaled_entries_total", partition="0")
    await room.apply(level(100), *reserves(5), confirm("k0"))
    async with room.running() as outbox:
        counters = outbox.partitions[0].counters
        await wait_until_async(lambda: counters.published == 6 + POLICIES and counters.announced > 0)
        assert value("atp_journaled_entries_total", partition="0") - before == await room.head()
        text = exposition()[0].decode()
    root = room.settings.root
    assert f'atp_published_events_total{{type="{root}.reservation.held"}} 5.0' in text
    assert f'atp_published_events_total{{type="{root}.reservation.committed"}} 1.0' in text
    assert f'atp_published_events_total{{type="{root}.availability"}} 1.0' in text
    assert 'atp_outbox_entries{partition="0"} 0.0' in text
    assert 'atp_unjournaled_seconds{partition="0"} 0.0' in text
    assert 'atp_publish_lag_entries{partition="0"} 0.0' in text
    assert 'atp_announce_lag_seconds{partition="0"} 0.0' in text


async def test_what_waits_is_told_also_by_a_drainer_that_has_never_seen_the_journal(room: Room, tmp_path: Path) -> None:
    """The alarm on unjournaled entries (R2) must not wait for a claim that needs PostgreSQL."""
    with Postgres(tmp_path) as server:
        await room.move_journal(server)
        server.stop()
        await room.apply(level(100), *reserves(3))
        async with room.running():
            await wait_until_async(lambda: value("atp_unjournaled_seconds", partition="0") > 0)
            seconds = value("atp_unjournaled_seconds", partition="0")
            await wait_until_async(lambda: value("atp_unjournaled_seconds", partition="0") > seconds)
            assert value("atp_outbox_entries", partition="0") > 0
            server.start()
            await wait_until_async(room.drained, 20, "the journal catches up")
            await wait_until_async(lambda: value("atp_unjournaled_seconds", partition="0") == 0)
            await wait_until_async(lambda: value("atp_outbox_entries", partition="0") == 0)


async def test_events_that_nats_does_not_take_are_told(room: Room, tmp_path: Path) -> None:
    with Nats(tmp_path) as server:
        client = await nats_client.connect(
            server.url, pending_size=0, max_reconnect_attempts=-1, reconnect_time_wait=0.05, error_cb=_ignore
        )
        room.nats, before = client, room.nats
        try:
            async with room.running() as outbox:
                counters = outbox.partitions[0].counters
                await room.apply(level(100))
                await wait_until_async(room.drained)
                server.stop()
                await room.apply(*(reserve(f"away {n}") for n in range(7)))
                await wait_until_async(lambda: value("atp_publish_lag_entries", partition="0") >= 7)
                await wait_until_async(lambda: not counters.nats_reachable)
                server.start()
                await wait_until_async(lambda: value("atp_publish_lag_entries", partition="0") == 0, 20)
                assert counters.published == 7 + POLICIES
        finally:
            await client.close()
            room.nats = before


async def _ignore(error: Exception) -> None:
    pass
