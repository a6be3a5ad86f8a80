"""Waiting rooms: before a campaign opens places are drawn, afterwards they go by arrival, and the ledger admits them.

A process keeps no list of who waits: a ticket says its bearer's place, and the ledger how many places are admitted.
All processes ask it ten times a second, and tell it what they served, by which it sets the pace (DESIGN §7).
"""

import asyncio
import time
from collections.abc import Sequence

import structlog
from msgspec import Struct, json

from atp.api import tickets
from atp.api.problems import (
    CAMPAIGN_CLOSED,
    CHANNEL_NOT_ALLOWED,
    NOT_FOUND,
    TICKET_REQUIRED,
    TICKETS_UNAVAILABLE,
    Problem,
)
from atp.api.tickets import Bearer, Ticket
from atp.domain.records import Asked
from atp.domain.times import rfc3339
from atp.ledger import Ledger, LedgerError, LedgerUnavailable
from atp.ledger.rooms import Attendance, Standing
from atp.waiting import stopped_within

log = structlog.get_logger("atp.api")

#: How often the ledger is asked how rooms stand.
INTERVAL_S = 0.1

#: How old a campaign's policy may be here; the law knows the newest one and has the last word.
POLICY_S = 1.0

#: How old a reading of a room's stock may be; longer by a moment for every sku of the campaign.
STOCK_S, STOCK_EACH_S = 0.25, 0.005

#: A room that nobody has asked for is not asked about.
IDLE_S = 30.0

#: A ticket is good for so long after the start or its making, and until the campaign ends; showing it renews it.
TICKET_MS = 4 * 3_600_000


class CampaignPolicy(Struct):
    """What a room is made of."""

    opens: int
    closes: int
    skus: dict[str, object] = {}
    channels: list[str] = []
    waiting_room: bool = False


class Room:
    """One campaign as this process knows it."""

    def __init__(self, id: str, policy: CampaignPolicy) -> None:
        self.id = id
        self.policy = policy
        self.known_at = self.asked_at = time.monotonic()
        self.standing: Standing | None = None
        self.told_at = 0.0
        self.left: int | None = None  # units that can be had, or may come back; None before anybody looked
        self.stock_at = float("-inf")
        self.looking = asyncio.Lock()

    @property
    def now(self) -> int:
        """The ledger's clock, ms."""
        if self.standing is None:
            return time.time_ns() // 1_000_000
        return self.standing.now + int((time.monotonic() - self.told_at) * 1000)


class Rooms:
    """The rooms that this process has to do with."""

    def __init__(self, ledger: Ledger, secrets: Sequence[bytes]) -> None:
        self._ledger = ledger
        self._secrets = secrets
        self._rooms: dict[str, Room] = {}
        self._arriving: dict[str, list[tuple[str, asyncio.Future[int]]]] = {}
        self._served = self._shed = 0
        self._telling = asyncio.Lock()
        self._called_at = 0.0  # monotonic

    # -- for routes --------------------------------------------------------------------------------------------------

    def count(self, status: int) -> None:
        """One reserve was answered: what was served sets the pace of admission."""
        if status < 500:
            self._served += 1
        else:
            self._shed += 1

    async def enter(self, bearer: Bearer, shown: str, channels: frozenset[str]) -> tuple[Room, Ticket, str]:
        """A place for somebody who arrives, or the one that a ticket shows, with a new signature. Raises Problem."""
        room = await self._require(bearer.campaign, channels)
        ticket = tickets.read(self._secrets, bearer, shown) if shown else None
        if shown and (ticket is None or ticket.expires_at <= room.now):
            raise Problem(TICKET_REQUIRED, "The ticket shown is not one of this customer and campaign, or it is over.")
        if ticket and _is_stale(room, ticket):
            ticket = None
        await self._require_stock(room, newcomer=ticket is None)
        if ticket is None:
            early, number = await self._arrive(room, bearer)
        else:
            early, number = ticket.early, ticket.number
        expires_at = min(room.policy.closes, max(room.now, room.policy.opens) + TICKET_MS)
        ticket = Ticket(early, number, room.now, expires_at)
        return room, ticket, tickets.sign(self._secrets[0], bearer, ticket)

    async def admit(self, bearer: Bearer, shown: str) -> str:
        """What the law shall remember of the ticket that lets a reserve in; "" where the law itself has to say no.

        Raises Problem (409) for a ticket that is none, or not due yet.
        """
        room = await self._find(bearer.campaign)
        if room is None or not room.policy.waiting_room or room.now < room.policy.opens:
            return ""
        ticket = tickets.read(self._secrets, bearer, shown) if shown else None
        if ticket is None:
            what = "The ticket is not one of this customer and campaign." if shown else "Show a ticket in ATP-Ticket."
            raise Problem(TICKET_REQUIRED, f"{what} POST /v1/campaigns/{{id}}/tickets makes them.")
        if ticket.expires_at <= room.now or _is_stale(room, ticket):
            return ""  # it may be the repeat of a request that was let in
        standing = await self._standing(room)
        place = ticket.place(standing.early)
        if place >= int(standing.admitted):
            expected = rfc3339(expected_at(room, ticket))
            ahead = place - int(standing.admitted)
            raise Problem(TICKET_REQUIRED, f"The ticket is not due yet: {ahead} wait before it.", expected_at=expected)
        return tickets.used_name(bearer, ticket)

    # -- the loop ----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Follow the rooms until cancelled."""
        never = asyncio.Event()
        while not await stopped_within(never, INTERVAL_S):
            now = time.monotonic()
            self._rooms = {id: room for id, room in self._rooms.items() if now - room.asked_at < IDLE_S}
            try:
                for room in [room for room in self._rooms.values() if now - room.known_at > POLICY_S]:
                    await self._read(room.id)
                await self._tell()
            except LedgerError as error:
                log.debug("waiting rooms stand still", error=type(error).__name__)

    # -- inside ------------------------------------------------------------------------------------------------------

    async def _require(self, id: str, channels: frozenset[str]) -> Room:
        if not self._secrets:
            raise Problem(TICKETS_UNAVAILABLE, "Nothing was configured to sign tickets with (ATP_TICKET_SECRETS).")
        room = await self._find(id)
        if room is None or not room.policy.waiting_room:
            raise Problem(NOT_FOUND, "There is no such campaign, or it has no waiting room.")
        if channels and room.policy.channels and channels.isdisjoint(room.policy.channels):
            raise Problem(CHANNEL_NOT_ALLOWED, "The campaign is for other channels than this client's.")
        await self._standing(room)
        if room.now >= room.policy.closes:
            raise Problem(CAMPAIGN_CLOSED, "The campaign is over.")
        return room

    async def _find(self, id: str) -> Room | None:
        room = self._rooms.get(id) or await self._read(id)
        if room is not None:
            room.asked_at = time.monotonic()
        return room

    async def _read(self, id: str) -> Room | None:
        policy = await self._ledger.policy("campaign", id)
        if policy is None or policy.deleted:
            self._rooms.pop(id, None)
            return None
        body = json.decode(policy.body, type=CampaignPolicy)
        room = self._rooms.get(id)
        if room is None:
            room = self._rooms[id] = Room(id, body)
        room.policy, room.known_at = body, time.monotonic()
        return room

    async def _standing(self, room: Room) -> Standing:
        if room.standing is None or time.monotonic() - room.told_at > 2 * INTERVAL_S:
            await self._tell()
        if room.standing is None:  # forgotten meanwhile
            raise Problem(NOT_FOUND, "There is no such campaign.")
        return room.standing

    async def _arrive(self, room: Room, bearer: Bearer) -> tuple[bool, int]:
        """Whether it is early, and the drawn number or the place; those who arrive together share a call."""
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._arriving.setdefault(room.id, []).append((tickets.arrival(bearer), future))
        await self._tell(future)
        place = await future
        return (True, tickets.draw(self._secrets[0], bearer)) if place < 0 else (False, place)

    async def _tell(self, arrived: asyncio.Future[int] | None = None) -> None:
        """One call for all rooms; whoever comes while it is under way takes part in the next one."""
        asked_at = time.monotonic()
        async with self._telling:
            if arrived.done() if arrived else self._called_at >= asked_at:
                return  # with the others
            self._called_at = time.monotonic()
            rooms = [room for room in self._rooms.values() if room.policy.waiting_room]
            arriving, self._arriving = self._arriving, {}
            for id in arriving.keys() - {room.id for room in rooms}:
                _fail(arriving[id], Problem(NOT_FOUND, "The campaign has no waiting room any more."))
            served, shed = self._served // max(1, len(rooms)), -(-self._shed // max(1, len(rooms)))
            self._served = self._shed = 0
            if not rooms:
                return
            told = [
                Attendance(
                    room.id, room.policy.opens, room.policy.closes, [who for who, _ in arriving.get(room.id, ())],
                    served, shed,
                )
                for room in rooms
            ]  # fmt: skip
            try:
                standings = await self._ledger.rooms.attend(told)
            except BaseException as error:
                self._called_at = 0.0
                gone = error if isinstance(error, LedgerError) else LedgerUnavailable("nobody asked to the end")
                for waiting in arriving.values():
                    _fail(waiting, gone)
                raise
            for room, standing in zip(rooms, standings, strict=True):
                room.standing, room.told_at = standing, time.monotonic()
                for index, (_, future) in enumerate(arriving.get(room.id, ())):
                    if not future.done():
                        future.set_result(standing.first + index if standing.is_open else -1)

    async def _require_stock(self, room: Room, *, newcomer: bool) -> None:
        """The room closes when what is left, with what may come back, is not enough for the next place.

        Raises Problem (409). It opens again should units come back. Before the start everybody may still be drawn.
        """
        standing = await self._standing(room)
        if not standing.is_open:
            return
        left = await self._left(room)
        waiting = standing.arrived - int(standing.admitted)
        if left <= (waiting if newcomer else 0):
            raise Problem(CAMPAIGN_CLOSED, "What is left is not enough for those who wait already.")

    async def _left(self, room: Room) -> int:
        """Units of the last reading. While one looks the others go on with it, but for those who have none: they wait,
        since the crowd of the first moment is no reason to say that nothing is left."""
        if room.left is None or (_looks_old(room) and not room.looking.locked()):
            async with room.looking:
                if room.left is None or _looks_old(room):
                    asked = Asked(room.policy.channels[0] if room.policy.channels else "default", room.id)
                    stock = await self._ledger.availability(list(room.policy.skus), asked)
                    room.left = sum(sku.ats + sum(at.balance.held for at in sku.locations) for sku in stock)
                    room.stock_at = time.monotonic()
        return room.left


def _looks_old(room: Room) -> bool:
    return time.monotonic() - room.stock_at > STOCK_S + STOCK_EACH_S * len(room.policy.skus)


def _fail(waiting: list[tuple[str, asyncio.Future[int]]], problem: Exception) -> None:
    for _, future in waiting:
        if not future.done():
            future.set_exception(problem)


def _is_stale(room: Room, ticket: Ticket) -> bool:
    """Whether its place is of an earlier opening: the campaign was postponed since, or put anew."""
    return not ticket.early and ticket.issued_at < room.policy.opens


def expected_at(room: Room, ticket: Ticket) -> int:
    """When the ticket will be due, ms, as far as it can be told."""
    standing = room.standing
    if standing is None or not standing.is_open:
        return room.policy.opens
    behind = ticket.place(standing.early) + 1 - standing.admitted
    return room.now + max(0, int(behind / standing.rate * 1000))
