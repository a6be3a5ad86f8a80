"""A ledger of several partitions: each is made anew by itself, and baskets over them go on (R3)."""

from collections.abc import AsyncIterator

import pytest

from atp.domain.commands import Change, Confirm, Release, Reserve, ReserveLine
from atp.domain.ids import partition_of, reservation_id
from atp.domain.results import Result
from atp.journal import migrate
from tests.rooms.ledger.books import check_settled, read_books
from tests.rooms.rebuild.room import Room, level, reserve, same
from tests.support import wait_until_async

pytestmark = pytest.mark.anyio

#: Of partition 0 and 1, in the order of their names, which decides where a basket's home is; and one of 1 before them.
HERE = next(name for name in map("b-{}".format, range(99)) if partition_of(name, 2) == 0)
THERE = next(name for name in map("c-{}".format, range(99)) if partition_of(name, 2) == 1)
FIRST = next(name for name in map("a-{}".format, range(99)) if partition_of(name, 2) == 1)


@pytest.fixture
async def room(valkey: str, database: str, namespace: str) -> AsyncIterator[Room]:
    await migrate(database)
    room = Room(valkey, database, namespace, partitions=2)
    try:
        await room.open()
        yield room
    finally:
        await room.close()


def basket(key: str, home: str, other: str) -> Reserve:
    """Two units of the one and one of the other."""
    lines = [ReserveLine("1", home, 2), ReserveLine("2", other, 1)]
    return Reserve(reservation_id("shop", key, home), 1, "shop", "web", "", "", "", "", 600_000, lines)


async def settled(room: Room) -> None:
    """Every leg has followed its home."""

    async def quiet() -> bool:
        return not any(any(book.loose.values()) for book in await read_books(room.ledger))

    await wait_until_async(quiet)
    check_settled(await read_books(room.ledger))


async def outcomes(room: Room, *commands: Reserve | Confirm | Release) -> list[str]:
    results: list[Result] = [await room.ledger.submit(command) for command in commands]
    return [result.outcome.name for result in results]


async def test_all_partitions_are_lost_and_come_back_with_their_baskets(room: Room) -> None:
    await room.apply(level(10, sku=FIRST), level(10, sku=HERE), level(10, sku=THERE))
    held, kept = basket("held", HERE, THERE), basket("kept", FIRST, HERE)
    async with room.watched():
        assert await outcomes(
            room, held, kept, Confirm(kept.id, Change(1, 1), "", []), reserve("a", sku=HERE), reserve("b", sku=THERE)
        ) == 5 * ["APPLIED"]  # fmt: skip
        await settled(room)
        for partition in range(2):
            await room.drain(partition)
        before = [await room.state(partition) for partition in range(2)]
        for partition in range(2):
            await room.lose(partition)
        await room.serves(2, 2)
        assert [same(await room.state(partition), before[partition]) for partition in range(2)] == [{}, {}]
        assert await outcomes(
            room, held, Confirm(held.id, Change(2, 2), "", []), Release(kept.id, Change(3, 3), "all", [])
        ) == ["REPLAYED", "APPLIED", "APPLIED"]  # fmt: skip
        await settled(room)
    assert [stock.ats for stock in await room.ledger.availability([FIRST, HERE, THERE])] == [10, 7, 8]


async def test_one_partition_is_lost_and_the_other_goes_on(room: Room) -> None:
    await room.apply(level(10, sku=HERE), level(10, sku=THERE))
    held = basket("held", HERE, THERE)
    async with room.watched():
        assert await outcomes(room, held) == ["APPLIED"]
        await settled(room)
        for partition in range(2):
            await room.drain(partition)
        before = await room.state(1)
        await room.lose(1)
        assert await outcomes(room, reserve("meanwhile", sku=HERE)) == ["APPLIED"]
        await room.serves(1, 2)
        assert same(await room.state(1), before) == {}
        assert await outcomes(room, Release(held.id, Change(1, 1), "all", [])) == ["APPLIED"]
        await settled(room)
    assert [stock.ats for stock in await room.ledger.availability([HERE, THERE])] == [9, 10]
