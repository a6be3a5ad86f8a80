"""Getting a batch through the ledger, however long that takes, without ever blaming a message for an outage (R16)."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog
from msgspec import Struct, field

from atp.domain.commands import Command, Cursor
from atp.domain.results import Result
from atp.domain.snapshots import SnapshotPart
from atp.ingest import booked, days, parts
from atp.ingest.counters import Counters
from atp.ingest.messages import Message
from atp.ingest.reasons import Reason, Rejected
from atp.ingest.settings import Settings
from atp.journal import Journal
from atp.ledger import Ledger, LedgerBusy, LedgerError
from atp.waiting import Attempts, stopped_within

#: A message that makes the ledger fail is given up after so many tries alone, with the ledger found well in between.
_TRIES_ALONE = 5

log = structlog.get_logger("atp.ingest")


class Item(Struct):
    """A message on its way: what it became, and what became of that."""

    message: Message
    type: str = ""  # of the event, as far as it was read
    commands: Sequence[Command] = ()
    results: list[Result] = field(default_factory=list)
    rejected: Rejected | None = None
    part: SnapshotPart | None = None  # of a snapshot, whose lines are the commands
    opened: Result | None = None  # the ledger's word on the part


class LedgerMoved(Exception):
    """The ledger no longer has the cursor this session counts on: it was rebuilt and wants earlier messages again."""


class Stopping(Exception):
    """Asked to stop while the ledger was away."""


class Applier:
    """Applies items in order and repeats until the ledger has decided on each."""

    def __init__(
        self,
        ledger: Ledger,
        settings: Settings,
        counters: Counters,
        stop: asyncio.Event,
        journal: Journal | None = None,
    ) -> None:
        self._ledger = ledger
        self._booked = booked.Booked(ledger, journal, counters)
        self._settings = settings
        self._counters = counters
        self._stop = stop
        self.confirmed = 0  # the cursor that the ledger is known to have
        self.epochs = ledger.epochs  # when that cursor was read
        self._taken: list[SnapshotPart] = []  # whose lines the ledger has, and which it does not know yet

    async def apply(self, cursor: Cursor | None, items: Sequence[Item]) -> None:
        """Move the cursor and decide the items' commands; ``results`` or ``rejected`` is then set on each.

        Raises LedgerMoved, and Stopping only while the ledger is away.
        """
        await self._make_way()
        for item in items:
            if item.commands and booked.is_open(item.commands[0]):
                commands = item.commands
                item.commands = await self._patiently(lambda commands=commands: self._booked.named(commands))
        try:
            await self._together(cursor, items)
        except (LedgerMoved, Stopping):
            raise
        except Exception as error:
            log.warning("a batch failed, looking for the message", error=repr(error), messages=len(items))
            if cursor:
                await self._together(cursor, [])
            await self._halves(items)

    def in_turn(self, items: Sequence[Item]) -> bool:
        """Whether nothing else may be under way beside these: what is told of a snapshot's parts has an order."""
        return bool(self._taken) or any(item.part for item in items)

    async def _together(self, cursor: Cursor | None, items: Sequence[Item]) -> None:
        for run in parts.runs(items):
            await self._run(cursor, run)
            cursor = None

    async def _run(self, cursor: Cursor | None, items: Sequence[Item]) -> None:
        """What was settled before; then, after a word on each part of a snapshot, the items' own commands."""
        commands: list[Command] = [*self._taken]
        if cursor:
            commands.append(cursor)
        opening = [item for item in items if item.part]
        if opening:
            opened = await self._decide([*commands, *(item.part for item in opening if item.part)], cursor)
            for item, result in zip(opening, opened[len(commands) :], strict=True):
                item.opened = result
            commands, cursor = [], None
        settled = len(commands)
        deciding = [item for item in items if item.opened is None or parts.wants_lines(item.opened)]
        for item in deciding:
            commands += item.commands
        results, at = await self._decide(commands, cursor), settled
        for item in deciding:
            item.results = results[at : at + len(item.commands)]
            at += len(item.commands)
            if item.part and item.opened and (done := parts.taken(item.part, item.opened, item.results)):
                self._taken.append(done)

    async def _decide(self, commands: list[Command], cursor: Cursor | None) -> list[Result]:
        """One call; what it says of settled messages is known to the ledger afterwards."""
        if not commands:
            return []
        if days.has_days(commands):
            commands = days.dated(commands, await self._patiently(lambda: days.zones(self._ledger)))
        told = len(self._taken)
        results = await self._patiently(lambda: self._apply(commands))
        del self._taken[:told]
        if cursor:
            self.confirmed = max(self.confirmed, cursor.position)
        return results

    def _apply(self, commands: list[Command]) -> Awaitable[list[Result]]:
        """Never to a ledger rebuilt meanwhile: a cursor there would hide what it wants again (R15)."""
        if self._ledger.epochs != self.epochs:
            raise LedgerMoved(f"the ledger was rebuilt: its epochs are {self._ledger.epochs}, they were {self.epochs}")
        return self._ledger.apply(commands)

    async def _halves(self, items: Sequence[Item]) -> None:
        """Halve a failing batch until a message stands alone. What is applied twice has its effect once."""
        if len(items) == 1:
            await self._alone(items[0])
            return
        middle = len(items) // 2
        for half in (items[:middle], items[middle:]):
            try:
                await self._together(None, half)
            except (LedgerMoved, Stopping):
                raise
            except Exception:
                await self._halves(half)

    async def _alone(self, item: Item) -> None:
        failure: Exception | None = None
        for _ in range(_TRIES_ALONE):
            try:
                await self._together(None, [item])
                return
            except (LedgerMoved, Stopping):
                raise
            except Exception as error:
                failure = error
            await self._patiently(self._ledger.heads)  # the ledger is well, so it is the message
        log.error("the ledger cannot process a message", sequence=item.message.sequence, exc_info=failure)
        item.rejected = Rejected(Reason.UNPROCESSABLE, repr(failure))

    async def _patiently[T](self, call: Callable[[], Awaitable[T]]) -> T:
        """The call's answer; while the ledger is away or busy, repeat with growing pauses."""
        attempts = Attempts(log.bind(loop="applying"), self._settings.retry_min_s, self._settings.retry_max_s)
        while True:
            try:
                return await call()
            except LedgerBusy:
                await self._pause(attempts.pauses.next())  # nothing was sent; the cursor is where it was
            except LedgerError as error:
                await self._pause(attempts.failed(error))
                await self._check_cursor()
            self._counters.ledger_retries += 1

    async def _check_cursor(self) -> None:
        """A ledger that comes back may be a rebuilt one, which wants earlier messages first (R15)."""
        try:
            cursor = await self._ledger.cursor(self._settings.key)
        except LedgerError:
            return  # still away
        if cursor < self.confirmed:
            raise LedgerMoved(f"the ledger's cursor is at {cursor}, it was at {self.confirmed}")

    async def _make_way(self) -> None:
        """Above half a queue shoppers come first: the fuller it is, the longer the pause."""
        s = self._settings
        if (load := self._ledger.load) > s.load_high:
            await self._pause(s.load_pause_s * (load - s.load_high) / (1 - s.load_high))

    async def _pause(self, pause_s: float) -> None:
        if await stopped_within(self._stop, pause_s):
            raise Stopping
