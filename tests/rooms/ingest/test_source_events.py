"""Heartbeats and the roles of sources on their whole way, from the stream to the ledger (R12, R24)."""

import pytest

from atp.domain.commands import PutPolicy
from atp.domain.entries import SourceHeard
from atp.ingest import Event, feed
from atp.ingest.events import HEARTBEAT
from tests.support import wait_until_async

pytestmark = pytest.mark.anyio

STORE = '{"kind":"store","sources":[{"source":"erp","role":"authority"},{"source":"pos","role":"adjuster"}]}'
PAIR = '{"kind":"store","sources":[{"source":"erp","role":"authority"},{"source":"wms","role":"fallback"}]}'


def beat(id: str, sequence: int | None = None) -> Event:
    return Event("erp", id, HEARTBEAT, b"{}", sequence, "" if sequence else "2025-11-21T10:00:00Z")


async def test_heartbeats_leave_one_entry_and_are_counted(room):
    last = await room.publish(beat("h1", 1), beat("h2"), beat("h3", 2))
    room.start()
    await room.settled(last)
    heard = [e for e in await room.ledger.read_entries(0, 0, 100) if isinstance(e, SourceHeard)]
    assert [e.source for e in heard] == ["erp"]
    (known,) = await room.ledger.sources.known("erp")
    assert (known.beats, known.silent, known.version_kind) == (True, False, "")
    assert room.consumer.counters.heartbeats == 3
    assert await room.reasons() == []


async def test_a_source_that_falls_silent_hands_over_and_takes_back(room):
    await room.ledger.put_policy(PutPolicy("source", "erp", '{"kind":"erp","stale_after_seconds":1}'))
    await room.ledger.put_policy(PutPolicy("location", "DC1", PAIR))
    last = await room.publish(
        beat("h1", 1),
        feed.level("erp", "l1", [("A", "DC1", 10)], sequence=2),
        feed.level("wms", "l2", [("A", "DC1", 7)], sequence=1),
    )
    room.start()
    await room.settled(last)

    async def ats(units: int) -> bool:
        room.ledger._batchers[0].tick()  # nobody sweeps here
        (stock,) = await room.ledger.availability(["A"])
        return stock.ats == units

    await wait_until_async(lambda: ats(7))
    await room.settled(await room.publish(beat("h2", 3)))
    assert await ats(7)
    await room.settled(await room.publish(feed.level("erp", "l3", [("A", "DC1", 9)], sequence=4)))
    assert await ats(9)


async def test_tills_move_the_erps_number_and_need_a_time(room):
    await room.ledger.put_policy(PutPolicy("location", "DC1", STORE))
    last = await room.publish(
        feed.level("erp", "l1", [("A", "DC1", 10)], sequence=1, time="2025-11-21T10:00:00Z"),
        feed.delta("pos", "d1", [("A", "DC1", -3)], sequence=1, time="2025-11-21T11:00:00Z"),
        feed.delta("pos", "d2", [("A", "DC1", -3)], sequence=2),
        feed.delta("pos", "d3", [("A", "DC1", -3)], sequence=3, time="2025-11-21T09:00:00Z"),
    )
    room.start()
    await room.settled(last)
    assert await room.number("A") == 7
    assert room.consumer.counters.events == {"applied": 2, "time_required": 1, "included": 1}
    (letter,) = await room.dead_letters()
    assert letter.headers["atp-reason"] == "time-missing"
    assert "lines[0]: at 'DC1' sources are compared by time" in letter.headers["atp-detail"]
