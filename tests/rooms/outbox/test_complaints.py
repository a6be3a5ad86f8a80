"""Complaint 19 of research/field.md §3: be told when stock reaches zero, instead of asking for it."""

import pytest

from atp.domain.commands import PutPolicy
from tests.rooms.outbox.room import Room, level, release, reserve
from tests.support import wait_until_async

pytestmark = pytest.mark.anyio


async def test_complaint_19_the_last_unit_is_told_and_so_is_its_return(room: Room) -> None:
    """Elsewhere a program polls for zero. Here the sku's availability event says 0, or when its floor is reached."""

    async def last_told() -> int:
        told = await room.told("availability")
        return told[-1].data["ats"] if told else -1

    async def told_zero() -> bool:
        return await last_told() == 0

    async def told_two() -> bool:
        return await last_told() == 2

    await room.apply(PutPolicy("item", "TSHIRT", '{"safety_stock":1}'), level(5), reserve("a", 2), reserve("b", 2))
    async with room.running():
        await wait_until_async(told_zero, description="the event of an empty shelf, of which one unit is the floor")
        await room.apply(release("b"))
        await wait_until_async(told_two, description="the event of what came back")
    shown = [told.data["position"] for told in await room.told("availability")]
    assert shown == sorted(shown, key=lambda position: int(position.partition(":")[2]))
