"""What the world was told on NATS, and a ledger that lost it (R2, R33)."""

from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import nats as nats_client
import pytest
from nats.aio.client import Client as Nats

from atp.ledger import Ledger, keys
from atp.outbox.handover import Handover
from atp.rebuild import LastTold, Rebuilder, Rebuilt, Settings
from tests.rooms.outbox.room import Room, level, opened, reserve
from tests.support import connected, wait_until_async
from tests.wires import wire_to

pytestmark = pytest.mark.anyio


@pytest.fixture
async def room(valkey: str, nats: str, migrated: str, namespace: str) -> AsyncIterator[Room]:
    async with opened(valkey, nats, migrated, namespace) as room:
        yield room


async def tell_too_much(room: Room) -> int:
    """Both skus' levels are journaled; of one an event shows units held, which the journal never hears of. Its seq."""
    await room.apply(level(10), level(10, sku="HAT"))
    handover = Handover(1_000)
    await room.drainer(handover=handover).run_once()
    await room.apply(reserve("gone", 3))
    publisher = room.publisher(handover)

    async def told() -> bool:
        await publisher.run_once()
        return len(await room.told("availability")) == 2

    await wait_until_async(told)
    shown = {
        event.data["sku"]: (event.data["ats"], event.data["position"]) for event in await room.told("availability")
    }
    assert shown["TSHIRT"] == (7, f"0:{await room.head()}")
    return await room.head()


async def lose(room: Room) -> None:
    connection = await connected(room.ledger_settings.url)
    for key in await connection.ask("KEYS", keys.prefix(room.ledger_settings.namespace, 0) + "*"):
        await connection.ask("DEL", key)
    await connection.end()


async def rebuild(room: Room, nats: Nats | None) -> Rebuilt:
    """By a process that saw nothing itself."""
    settings = Settings(stream=room.settings.stream, witness_s=0.01, accept_loss=True)
    await room.ledger.close()
    other = Ledger(room.ledger_settings)
    await other.open(await room.journal.heads(), join=True)
    rebuilt = await Rebuilder(other, room.journal, 0, LastTold(nats, settings), settings).run()
    await other.close()
    room.ledger = Ledger(room.ledger_settings)
    await room.ledger.open(await room.journal.heads())
    assert rebuilt is not None
    return rebuilt


@pytest.mark.parametrize("nats_is_there", [True, False])
async def test_the_last_event_on_nats_tells_how_far_the_ledger_was(room: Room, nats_is_there: bool) -> None:
    head = await tell_too_much(room)
    journaled = (await room.journal.heads())[0]
    await lose(room)
    rebuilt = await rebuild(room, room.nats if nats_is_there else None)
    assert rebuilt.begin == (head if nats_is_there else journaled)
    assert bool(rebuilt.loss) is nats_is_there


async def test_what_nats_told_counts_where_it_is_slow_or_has_lost_others(room: Room, nats: str) -> None:
    """Nobody else may know how far the ledger was, so half an answer must not be none."""
    await room.nats.jetstream().add_stream(name=room.settings.stream, subjects=[f"{room.settings.root}.>"])
    for seq in range(1, 41):
        await room.nats.jetstream().publish(f"{room.settings.root}.x", b"", headers={"ce-id": f"{seq % 2}:{seq}"})
    await room.nats.jetstream().delete_msg(room.settings.stream, 40)
    await room.nats.jetstream().delete_msg(room.settings.stream, 38)
    settings = Settings(stream=room.settings.stream, told_s=1.0)
    assert [await LastTold(room.nats, settings).seq(n) for n in (0, 1, 2)] == [36, 39, 0]
    async with wire_to(urlsplit(nats).port or 0) as wire:
        slow = await nats_client.connect(nats.replace(f":{urlsplit(nats).port}", f":{wire.port}"))
        wire.delay_s = 0.1
        assert [await LastTold(slow, settings).seq(n) for n in (0, 1)] == [36, 39]
        await slow.close()


async def test_what_was_told_of_lost_changes_is_told_anew(room: Room) -> None:
    """The one sku's number, under a position that is higher than what its readers had; not the other's."""
    head = await tell_too_much(room)
    before = len(await room.told("availability"))
    await lose(room)
    rebuilt = await rebuild(room, room.nats)

    async def told() -> bool:
        return len(await room.told("availability")) > before and await room.drained()

    async with room.running():
        await wait_until_async(told)
    (event,) = (await room.told("availability"))[before:]
    assert (event.data["sku"], event.data["ats"]) == ("TSHIRT", 10)
    assert event.data["position"] == f"0:{rebuilt.seq - 2}"  # of the opening; the loss, raised and accepted, follows
    assert rebuilt.begin == head
    (stock,) = await room.ledger.availability(["TSHIRT"])
    assert event.data["position"] == f"0:{stock.seq}", "whoever asks sees no older one"


async def test_without_the_stream_nothing_is_told_anew_and_nobody_waits(room: Room) -> None:
    await tell_too_much(room)
    await lose(room)
    await room.nats.jetstream().delete_stream(room.settings.stream)
    await rebuild(room, room.nats)

    async def published() -> bool:
        mark = await room.journal.watermark(0)
        return mark is not None and mark.published == mark.announced == await room.head()

    async with room.running():
        await wait_until_async(published)
    assert await room.told("availability") == []
