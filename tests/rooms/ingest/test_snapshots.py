"""Snapshots from the stream to the last zero: parts, bad parts, a sweeper that dies, a process that dies (R13)."""

import asyncio
from contextlib import suppress

import pytest
from msgspec import json, structs

from atp.domain.commands import PutPolicy
from atp.domain.entries import ExceptionRaised, LevelSet
from atp.domain.outcomes import Outcome
from atp.domain.snapshots import SnapshotDecide
from atp.ingest import Consumer, Event, Sweeper, ensure_streams, feed
from tests.rooms.ingest.room import Room, open_ledger
from tests.support import wait_until_async

pytestmark = pytest.mark.anyio


def part(number, parts, lines, *, as_of=99, id="S", locations=("DC1",), **changed) -> Event:
    event = feed.snapshot("wms", id, lines, part=number, parts=parts, locations=list(locations), as_of=as_of)
    data = json.decode(event.data) | changed
    return structs.replace(event, id=f"{id}/{number}/{hash(json.encode(data)) & 0xFFFF}", data=json.encode(data))


async def guard(room, percent: int) -> None:
    await room.ledger.put_policy(PutPolicy("source", "wms", f'{{"kind":"wms","full_guard_percent":{percent}}}'))


async def fill(room, skus, sequence: int = 50) -> None:
    await room.publish(
        *(
            feed.level("wms", f"fill-{n}", [(sku, "DC1", 9) for sku in skus[n : n + 1_000]], sequence=sequence)
            for n in range(0, len(skus), 1_000)
        )
    )


async def sweep(room) -> None:
    """Let a sweeper work until there is nothing left that needs no person."""
    sweeper, stop = Sweeper(room.ledger, room.settings), asyncio.Event()
    task = asyncio.create_task(sweeper.run(stop))

    async def done() -> bool:
        sweeps, _ = await room.ledger.snapshots.sweeps()
        return all(found.state == "parked" for found in sweeps.values())

    try:
        await wait_until_async(done, 20, "the sweep")
    finally:
        stop.set()
        await task


async def test_parts_in_any_order_with_events_between_end_in_the_same_numbers(room):
    await guard(room, 100)
    await fill(room, ["A", "B", "OLD"])
    last = await room.publish(
        part(3, 3, []),
        feed.delta("wms", "d", [("A", "DC1", -3)], sequence=101),
        part(1, 3, [("A", "DC1", 10)]),
        feed.level("wms", "x", [("X", "DC1", 5)], sequence=105),
        part(2, 3, [("B", "DC1", 20)]),
    )
    room.start()
    await room.settled(last)
    await sweep(room)
    assert [await room.number(sku) for sku in ("A", "B", "X", "OLD")] == [7, 20, 5, 0]
    assert await room.dead_letters() == []


async def test_a_missing_part_zeroes_nothing(room):
    await guard(room, 100)
    await fill(room, ["A", "B"])
    last = await room.publish(part(1, 2, [("A", "DC1", 10)]))
    room.start()
    await room.settled(last)
    await sweep(room)
    assert await room.number("B") == 9
    found = await room.ledger.snapshots.last("wms")
    assert (found.state, found.arrived, found.parts) == ("open", 1, 2)


async def test_an_export_cut_at_a_tenth_is_parked_until_a_person_decides(room):
    skus = [f"K{n}" for n in range(1_000)]
    await fill(room, skus)
    last = await room.publish(part(1, 1, [(sku, "DC1", 8) for sku in skus[:100]]))
    room.start()
    await room.settled(last)
    await sweep(room)
    ((seq, found),) = (await room.ledger.snapshots.sweeps())[0].items()
    assert (found.state, found.counts) == ("parked", [("DC1", 1_000, 900)])
    entries = await room.ledger.read_entries(0, 0, 100_000)
    raised = {e.kind: e.detail for e in entries if isinstance(e, ExceptionRaised)}
    assert raised["snapshot-guard"] == "S would zero 900 of 1000 at DC1"
    assert [await room.number(sku) for sku in ("K99", "K100", "K999")] == [8, 9, 9]
    assert (await room.ledger.submit(SnapshotDecide(seq, "accept", [], "anna"))).outcome is Outcome.APPLIED
    await sweep(room)
    assert {await room.number(sku) for sku in skus[100:]} == {0}
    assert await room.number("K99") == 8


async def test_the_same_part_again_has_no_effect_and_another_content_is_set_aside_whole(room):
    event = part(1, 2, [("A", "DC1", 10), ("B", "DC1", 4)])
    last = await room.publish(
        event,
        feed.level("wms", "later", [("A", "DC1", 6)], sequence=100),
        structs.replace(event, id="again"),
        part(1, 2, [("A", "DC1", 11), ("B", "DC1", 5)]),
        part(2, 3, [("C", "DC1", 1)]),
        part(2, 2, [("C", "DC1", 1)], locations=("DC1", "DC2")),
        part(2, 2, [("C", "DC1", 1)], as_of=98),
        part(2, 2, [("C", "DC1", 1)], full=False),
    )
    room.start()
    await room.settled(last)
    assert [await room.number(sku) for sku in ("A", "B", "C")] == [6, 4, None]
    letters = [letter.headers for letter in await room.dead_letters()]
    assert [headers["atp-reason"] for headers in letters] == ["snapshot-contradicted"] * 5
    assert [headers["atp-detail"] for headers in letters] == [
        f"part {n} of snapshot 'S': other {what} than before; nothing of it was applied"
        for n, what in ((1, "lines"), (2, "parts"), (2, "locations"), (2, "as_of"), (2, "full"))
    ]


async def test_a_part_with_a_refused_line_arrives_when_its_dead_letter_is_replayed(room):
    await guard(room, 100)
    await fill(room, ["OLD"])
    event = part(1, 1, [("A", "DC1", 10), ("A", "NEW", 3)])
    last = await room.publish(event)
    room.start()
    await room.settled(last)
    await sweep(room)
    assert await room.reasons() == ["unknown-location"]
    assert (await room.number("A"), await room.number("OLD")) == (10, 9)
    await room.ledger.put_policy(PutPolicy("location", "NEW", '{"kind":"store"}'))
    await room.settled(await room.publish(structs.replace(event, id="replayed")))
    await sweep(room)
    assert (await room.number("A", "NEW"), await room.number("OLD")) == (3, 0)


async def test_two_snapshots_in_one_batch_are_taken_one_after_the_other(room):
    await guard(room, 100)
    await fill(room, ["OLD"])
    last = await room.publish(
        part(1, 2, [("A", "DC1", 1)]),
        part(2, 2, [("B", "DC1", 1)]),
        part(1, 2, [("A", "DC1", 2)], id="T", as_of=100),
    )
    room.start()
    await room.settled(last)
    await sweep(room)
    assert [await room.number(sku) for sku in ("A", "B", "OLD")] == [2, 1, 0]


@pytest.mark.parametrize("pages", [0, 1, 3])
async def test_a_sweeper_that_dies_in_the_middle_is_followed_by_another(room, monkeypatch, pages):
    await guard(room, 100)
    skus = [f"K{n}" for n in range(3_000)]
    await fill(room, skus)
    last = await room.publish(part(1, 1, [("K0", "DC1", 8)]))
    room.start()
    await room.settled(last)
    sweeper, reached, applied, apply = Sweeper(room.ledger, room.settings), asyncio.Event(), 0, room.ledger.apply

    async def dying(commands):
        nonlocal applied
        if applied == pages:
            reached.set()
            await asyncio.Event().wait()
        applied += 1
        return await apply(commands)

    monkeypatch.setattr(room.ledger, "apply", dying)
    task = asyncio.create_task(sweeper.run(asyncio.Event()))
    await asyncio.wait_for(reached.wait(), 20)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    monkeypatch.undo()
    left = [sku for sku in skus[1:] if await room.number(sku)]
    assert len(left) > 0
    await sweep(room)
    assert {await room.number(sku) for sku in skus[1:]} == {0}
    entries = await room.ledger.read_entries(0, 0, 100_000)
    zeroed = [e.sku for e in entries if isinstance(e, LevelSet) and e.version == (1, 0, 99) and not e.quantity]
    assert sorted(zeroed) == sorted(skus[1:]), "each once"


async def killed_at(room, monkeypatch, kill_at: int, last: int) -> bool:
    """Run a consumer and kill it at its next call of the ledger but so many; whether it was done before."""
    apply, calls, reached = room.ledger.apply, 0, asyncio.Event()

    async def dying(commands):
        nonlocal calls
        calls += 1
        if calls > kill_at:
            reached.set()
            await asyncio.Event().wait()
        return await apply(commands)

    monkeypatch.setattr(room.ledger, "apply", dying)
    room.start()
    tasks = [asyncio.create_task(reached.wait()), asyncio.create_task(room.settled(last))]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    done = tasks[1].done()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await room.kill()
    monkeypatch.undo()
    return done


async def test_a_consumer_that_dies_anywhere_leaves_no_half_of_a_part(room, monkeypatch):
    """Killed at every call of the ledger in turn: the parts arrive all the same, and count once."""
    await guard(room, 100)
    await fill(room, ["OLD"])
    last = await room.publish(*(part(n, 4, [(f"K{n}", "DC1", n)]) for n in (1, 2, 3, 4)))
    kills = 0
    while not await killed_at(room, monkeypatch, kills, last):
        kills += 1
    assert kills > 2
    await sweep(room)
    assert [await room.number(f"K{n}") for n in (1, 2, 3, 4)] == [1, 2, 3, 4]
    assert await room.number("OLD") == 0
    assert await room.dead_letters() == []


@pytest.fixture
async def spread(valkey, nc, namespace, settings):
    """A room whose ledger has four partitions."""
    ledger = await open_ledger(valkey, f"{namespace}p", 4)
    await ensure_streams(nc.jetstream(), settings)
    room = Room(nc, ledger, settings, Consumer(nc, ledger, settings), asyncio.Event())
    yield room
    await room.kill()
    await ledger.close()


async def test_over_several_partitions_every_one_is_swept(spread):
    await guard(spread, 100)
    skus = [f"K{n}" for n in range(200)]
    await fill(spread, skus)
    last = await spread.publish(
        part(2, 2, [(sku, "DC1", 3) for sku in skus[150:]]), part(1, 2, [(sku, "DC1", 2) for sku in skus[:50]])
    )
    spread.start()
    await spread.settled(last)
    await sweep(spread)
    assert [await spread.number(sku) for sku in skus] == [2] * 50 + [0] * 100 + [3] * 50
