"""Shortages gone through: bounded pages, in order, whatever is killed, and no further than needed (R28)."""

import asyncio

import pytest
from msgspec import structs

from atp.domain.commands import Affect, Command, PutPolicy
from atp.domain.entries import Released, ShortageAffected, ShortageClosed, ShortageFound
from atp.domain.results import Result
from atp.journal import Journal, JournalUnavailable
from atp.ledger import Ledger
from atp.outbox.handover import Handover
from atp.outbox.victims import Victims
from tests.rooms.outbox.room import Room, confirm, id_of, level, reserve, reserves
from tests.support import wait_until_async

pytestmark = pytest.mark.anyio

REVOKE = PutPolicy("item", "TSHIRT", '{"on_shortage":"revoke_holds"}')


class Watched(Ledger):
    """A real ledger that remembers the pages, and does something before one of them."""

    pages: list[Affect]
    before: dict[int, list[Command]]  # page → what happens just before it

    def submit(self, command: Command) -> asyncio.Future[Result]:
        if isinstance(command, Affect):
            self.pages.append(command)
            for other in self.before.get(len(self.pages), []):
                super().submit(other)
        return super().submit(command)


@pytest.fixture
async def room(room: Room) -> Room:
    await room.ledger.close()
    room.ledger = Watched(room.ledger_settings)
    room.ledger.pages, room.ledger.before = [], {}
    await room.ledger.open({})
    return room


def pages(room: Room) -> list[Affect]:
    assert isinstance(room.ledger, Watched)
    return room.ledger.pages


async def go_through(room: Room) -> None:
    """Drain all, and go through what fell short, until there is nothing more to do."""
    handover = Handover(1_000)
    drainer, victims = room.drainer(handover=handover), room.victims(handover)

    async def drains() -> bool:
        return bool(await drainer.run_once()) or handover.claim is not None

    await wait_until_async(drains, description="the lease")
    while await drainer.run_once() or await victims.run_once(asyncio.Event()) or await drainer.run_once():
        pass


async def story(room: Room) -> list[ShortageFound | ShortageAffected | ShortageClosed]:
    kinds = (ShortageFound, ShortageAffected, ShortageClosed)
    return [e for e in await room.journal.entries_after(0, 0, 1_000_000) if isinstance(e, kinds)]


async def balance(room: Room) -> tuple[int, int]:
    found = (await room.ledger.availability(["TSHIRT"]))[0].locations[0].balance
    return found.held, found.committed


async def test_twenty_thousand_holds_are_named_in_bounded_pages(room: Room) -> None:
    await room.apply(level(20_000), *reserves(20_000), level(0, 2))
    await go_through(room)
    found, *affected = await story(room)
    assert isinstance(found, ShortageFound)
    assert found.short_by == 20_000
    named = [v.reservation for entry in affected if isinstance(entry, ShortageAffected) for v in entry.victims]
    assert named == [id_of(f"k{n}") for n in reversed(range(20_000))]
    assert {len(page.ids) for page in pages(room)[:-1]} == {room.settings.short_page}
    assert await balance(room) == (20_000, 0)


async def test_revoking_takes_the_newest_and_stops_when_the_shortage_is_covered(room: Room) -> None:
    await room.apply(REVOKE, level(1_000), *reserves(1_000), level(700, 2))
    await go_through(room)
    entries = await room.journal.entries_after(0, 0, 1_000_000)
    revoked = [e.reservation.id for e in entries if isinstance(e, Released) and e.reason == "shortage"]
    assert revoked == [id_of(f"k{n}") for n in range(999, 699, -1)]
    assert isinstance((await story(room))[-1], ShortageClosed)
    assert await balance(room) == (700, 0)
    assert len(pages(room)) == -(-300 // room.settings.short_page)


async def test_commitments_stay(room: Room) -> None:
    await room.apply(REVOKE, level(4), *reserves(4), confirm("k3"), confirm("k0"), level(1, 2))
    await go_through(room)
    found, affected = await story(room)
    assert isinstance(affected, ShortageAffected)
    told = [(v.reservation, v.held, v.committed, v.revoked) for v in affected.victims]
    assert told == [(id_of("k3"), 0, 1, 0), (id_of("k2"), 1, 0, 1), (id_of("k1"), 1, 0, 1), (id_of("k0"), 0, 1, 0)]
    assert (affected.short_by, affected.last) == (1, True)
    assert await balance(room) == (0, 2)
    await go_through(room)
    assert await story(room) == [found, affected], "what was gone through is not gone through again"


async def test_supply_that_returns_in_between_ends_it_early(room: Room) -> None:
    await room.apply(REVOKE, level(1_000), *reserves(1_000), level(0, 2))
    assert isinstance(room.ledger, Watched)
    room.ledger.before = {3: [level(1_000, 3)]}
    await go_through(room)
    revoked = 2 * room.settings.short_page
    assert await balance(room) == (1_000 - revoked, 0)
    assert len(pages(room)) == 3
    assert [type(entry).__name__ for entry in await story(room)] == [
        "ShortageFound", "ShortageAffected", "ShortageAffected", "ShortageClosed"
    ]  # fmt: skip


async def test_a_successor_goes_on_where_a_killed_one_stopped(room: Room) -> None:
    class Killed(Exception):
        pass

    class Dying(Journal):
        async def promised(self, *args, **named):
            if pages(room):
                raise Killed
            return await super().promised(*args, **named)

    await room.apply(level(600), *reserves(600), level(0, 2))
    room.settings = structs.replace(room.settings, short_read=256)
    dying, handover = Dying(room.journal_settings), Handover(1_000)
    await dying.open()
    try:
        drainer = room.drainer(handover=handover)
        await wait_until_async(drainer.run_once, description="the lease")
        with pytest.raises(Killed):
            await Victims(room.ledger, dying, 0, handover, room.settings).run_once(asyncio.Event())
    finally:
        await dying.close()
    assert len(pages(room)) == 2
    await go_through(room)
    named = [v.reservation for e in await story(room) if isinstance(e, ShortageAffected) for v in e.victims]
    assert named == [id_of(f"k{n}") for n in reversed(range(600))]


async def test_a_shortage_that_deepens_is_gone_through_anew(room: Room) -> None:
    await room.apply(level(10), *reserves(10), level(9, 2))
    await go_through(room)
    await room.apply(level(7, 3))
    await go_through(room)
    named = [[v.reservation for v in e.victims] for e in await story(room) if isinstance(e, ShortageAffected)]
    assert named == [[id_of("k9")], [id_of("k9"), id_of("k8"), id_of("k7")]]


async def test_a_shortage_whose_append_had_no_answer_is_gone_through_all_the_same(room: Room) -> None:
    """The drainer learns from the watermark that its batch was committed, and never sees what was in it again."""

    class LosesAnAnswer(Journal):
        lost = True

        async def append(self, *args, **named):
            await super().append(*args, **named)
            if not self.lost:
                self.lost = True
                raise JournalUnavailable("the connection was lost behind the commit")

    await room.apply(level(3), *reserves(3))
    await room.journal.close()
    room.journal = journal = LosesAnAnswer(room.journal_settings)
    await journal.open()
    handover = Handover(1_000)
    drainer, victims = room.drainer(handover=handover), room.victims(handover)
    await wait_until_async(drainer.run_once, description="the lease")
    await victims.run_once(asyncio.Event())
    journal.lost = False
    await room.apply(level(0, 2))
    with pytest.raises(JournalUnavailable) as lost:
        await drainer.run_once()
    drainer._doubt(lost.value)
    await drainer.run_once()
    await victims.run_once(asyncio.Event())
    assert [page.ids for page in pages(room)] == [[id_of("k2"), id_of("k1"), id_of("k0")]]


async def test_the_running_outbox_does_all_this_by_itself(room: Room) -> None:
    await room.apply(REVOKE, level(5), reserve("a", 2), reserve("b", 2))
    async with room.running():
        await room.apply(level(3, 2))

        async def covered() -> bool:
            return await balance(room) == (2, 0) and len(await room.told("shortage")) == 3

        await wait_until_async(covered, 20, "the newest hold is revoked, and all is told")
    assert [told.data["event"] for told in await room.told("shortage")] == ["found", "affected", "closed"]
    (released,) = await room.told("reservation.released")
    assert released.headers["ce-reason"] == "shortage"
