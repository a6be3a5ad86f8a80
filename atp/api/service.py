"""Service: what the routes' plain functions work with. One per process."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import structlog
from msgspec import structs

from atp.api.access.identity import Clients
from atp.api.access.quotas import Quotas
from atp.api.admission import Control
from atp.api.following import Changes, View
from atp.api.following.feed import Feed
from atp.api.problems import JOURNAL_UNAVAILABLE, Problem
from atp.api.rooms import Rooms
from atp.api.settings import ApiSettings
from atp.api.unresolved import Unresolved
from atp.deadletters import Desk, Suspects
from atp.domain.causes import Cause
from atp.domain.commands import CHANGES, Command
from atp.domain.outcomes import Outcome
from atp.domain.posted import Posted
from atp.domain.records import Reservation
from atp.domain.results import Result
from atp.domain.rules.retention import answer_journaled
from atp.journal import Journal, JournalError
from atp.ledger import Ledger, OutcomeUnknown

log = structlog.get_logger("atp.api")


class EventDoor(Protocol):
    """Who judges stock events and stores them in the stream; ``wiring`` gives one (``ingest.Posting``)."""

    async def post(
        self, events: Sequence[bytes], allowed: Callable[[str], bool], cause: Cause, timeout_s: float | None
    ) -> list[Posted]:
        """What became of each. Raises StreamAway, StreamUncertain."""
        ...


class Rebuilds(Protocol):
    """Who makes a ledger anew; ``wiring`` gives one (``rebuild.Watch``)."""

    def ask(self, *, accept_loss: bool) -> None:
        """Make every partition anew soon, although it may be well."""
        ...

    async def accept(self, client: str, reason: str) -> list[int]:
        """Open the partitions that a loss has closed; which they were. Raises LedgerError."""
        ...


class RawDoor(Protocol):
    """Who takes vendors' messages; ``wiring`` gives one (``ingest.raw.Doorway``), which says what it raises."""

    def signs(self, mapping: str) -> bool: ...

    def check(self, mapping: str, source: str, headers: Mapping[str, str], body: bytes, url: str) -> None: ...

    async def store(self, mapping: str, source: str, headers: Mapping[str, str], body: bytes, cause: Cause) -> int: ...


class Service:
    """Ledger, journal (None while PostgreSQL is away), clients and settings, under one name.

    ``desk`` is where dead letters are handled ``door`` takes stock events and ``raw`` vendors' messages, and
    ``suspects`` are positions with dead letters; all are None without NATS. ``rebuilds`` makes a ledger anew.
    ``changes`` is the stream that the feed of availability reads.
    """

    def __init__(
        self,
        ledger: Ledger,
        journal: Journal | None,
        settings: ApiSettings,
        *,
        desk: Desk | None = None,
        door: EventDoor | None = None,
        raw: RawDoor | None = None,
        suspects: Suspects | None = None,
        rebuilds: Rebuilds | None = None,
        changes: Changes | None = None,
    ) -> None:
        self.ledger = ledger
        self.journal = journal
        self.settings = settings
        self.desk = desk
        self.door = door
        self.raw = raw
        self.suspects = suspects
        self.rebuilds = rebuilds
        self.clients = Clients(ledger, settings)
        self.quotas = Quotas(ledger)
        self.view = View(ledger)
        self.feed = Feed(ledger, self.view, changes) if changes else None
        self.rooms = Rooms(ledger, settings.ticket_secrets)
        self.unresolved = Unresolved()
        self.control = Control(settings.admission, ledger.gauges)

    async def decide(self, command: Command, deadline: float | None) -> Result:
        """The law's answer, with the record from the journal where the ledger only recognised a repeat (R18).

        A change of a reservation that only the journal still knows is answered as a tombstone would have. Raises
        LedgerError, OutcomeUnknown also when ``deadline`` (seconds) passes first; Problem if the journal that has the
        record is away.
        """
        answer = self.ledger.submit(command)
        result = await answer if deadline is None else await _within(deadline, answer)
        if result.outcome is Outcome.NOT_FOUND and isinstance(command, CHANGES) and self.journal is not None:
            record = await self.journaled(command.id)
            return result if record is None else answer_journaled(record, command)
        about = getattr(command, "id", "") if result.replayed and result.reservation is None else ""
        if about and result.outcome.accepted:
            return structs.replace(result, reservation=await self.journaled(about))
        return result

    async def reservation(self, id: str) -> Reservation | None:
        """The record as it is now, from the ledger while it is whole there, else from the journal."""
        return await self.ledger.reservation(id) or await self.journaled(id)

    async def journaled(self, id: str) -> Reservation | None:
        """The record as the journal has it.

        Raises Problem: whether it exists cannot be told without the journal, so its absence is not answered with 404.
        """
        try:
            if self.journal is not None:
                return await self.journal.reservation(id)
        except JournalError as error:
            log.warning("the journal could not be asked for a reservation", error=type(error).__name__)
        raise Problem(
            JOURNAL_UNAVAILABLE, "The ledger does not hold this reservation, and the journal cannot be asked."
        )


async def _within(deadline: float, answer: asyncio.Future[Result]) -> Result:
    try:
        async with asyncio.timeout(deadline):
            return await answer
    except TimeoutError:
        raise OutcomeUnknown("the caller's deadline passed") from None


def now_ms() -> int:
    """This process's clock in ms; only ever shown to callers, never decided by."""
    return time.time_ns() // 1_000_000
