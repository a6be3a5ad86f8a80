"""A source with several lanes (CONTRACT "NATS"): one reader, and the order of each subject is kept."""

import pytest

from atp.domain.entries import DeltaApplied, LevelSet
from atp.ingest import feed

pytestmark = pytest.mark.anyio

SHARDS = ("", "0", "7", "north-east")


async def test_events_of_every_shard_are_taken_in_the_order_of_the_stream(room):
    """One source, one sku to a shard; a level, then changes, then a level of the same version: the later one wins."""
    events = []
    for n in range(1, 21):
        for shard in SHARDS:
            sku, id = f"S{shard}", f"{shard}-{n}"
            if n % 5 == 1:
                events.append(feed.level("wms", id, [(sku, "DC1", 100 * n)], sequence=n, shard=shard))
            else:
                events.append(feed.delta("wms", id, [(sku, "DC1", -n)], sequence=n, shard=shard))
    events += [
        feed.level("wms", f"tie-{shard}", [(f"S{shard}", "DC1", 7)], sequence=16, shard=shard) for shard in SHARDS
    ]
    last = await room.publish(*events)
    room.start()
    await room.settled(last)
    entries = [x for x in await room.ledger.read_entries(0, 0, 1_000) if isinstance(x, LevelSet | DeltaApplied)]
    positions = [x.position for x in entries]
    assert positions == sorted(positions)
    assert {x.stream for x in entries} == {room.settings.key}, "one cursor covers all of them"
    for shard in SHARDS:
        mine = [x for x in entries if x.sku == f"S{shard}"]
        assert [x.version[2] for x in mine] == [*range(1, 21), 16]
        assert await room.number(f"S{shard}") == 7 - 17 - 18 - 19 - 20


async def test_a_killed_reader_goes_on_where_all_shards_stand(room):
    events = [
        feed.delta("wms", f"{shard}-{n}", [("A", "DC1", 1)], sequence=n, shard=shard)
        for n in range(2, 102)
        for shard in SHARDS
    ]
    await room.publish(feed.level("wms", "base", [("A", "DC1", 0)], sequence=1, shard="7"), *events[:200])
    room.start()
    await room.kill()
    last = await room.publish(*events[200:])
    room.start()
    await room.settled(last)
    assert await room.number("A") == len(events)
    assert await room.reasons() == []
