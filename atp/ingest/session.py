"""The loop's core: messages in stream order → one ledger call per batch → dead letters → cursor → acknowledgement.

While the ledger decides on a batch, the next one is decoded and sent after it. A batch's cursor is written only after
its dead letters are, at the head of a later batch or alone when the stream is idle; so a process that dies at any point
repeats at most what was not settled, and the law gives repeated events no second effect.
"""

import asyncio
import time
from collections import deque
from math import inf
from time import monotonic

import structlog
from msgspec import Struct

from atp.domain.commands import Cursor
from atp.domain.snapshots import SnapshotPart
from atp.ingest.applying import Applier, Item
from atp.ingest.counters import Counters
from atp.ingest.deadletters import DeadLetters
from atp.ingest.messages import Decoder, Message
from atp.ingest.pull import Pull
from atp.ingest.reasons import Reason, Rejected
from atp.ingest.settings import Settings
from atp.ingest.verdicts import judge

log = structlog.get_logger("atp.ingest")

#: Lines decoded before others get their turn: a fraction of what the ledger needs for one call.
_SLICE_LINES = 100


class _Flight(Struct):
    """A batch that the ledger has been sent."""

    items: list[Item]
    task: asyncio.Task[None]
    told: Message | None  # whose cursor went with it
    alone: bool


class Session:
    """One stretch of reading, from opening the pull consumer to the first doubt about it."""

    def __init__(
        self,
        settings: Settings,
        counters: Counters,
        decoder: Decoder,
        dead_letters: DeadLetters,
        pull: Pull,
        applier: Applier,
    ) -> None:
        self._settings = settings
        self._counters = counters
        self._decoder = decoder
        self._dead_letters = dead_letters
        self.pull = pull
        self._applier = applier
        self._flights: deque[_Flight] = deque()
        self._last: Message | None = None  # all up to here is done, and the ledger does not know it yet
        self._alone_at = -inf  # when a cursor was last written alone

    async def run_once(self) -> None:
        """Send the next batch, or settle the oldest one under way, or write the cursor if nothing comes."""
        if items := await self._take():
            await self._send(items)
            if len(self._flights) < self._settings.batches_in_flight:
                return
        if self._flights:
            await self._settle()
            return
        if not await self.pull.wait(self._patience()) and self._last:
            await self.finish()

    async def finish(self) -> None:
        """Settle what is under way and let the ledger know, without waiting for another batch."""
        while self._flights:
            await self._settle()
        if self._last:
            await self._applier.apply(self._cursor(), [])
            await self._acknowledge(self._last)
            self._last, self._alone_at = None, monotonic()

    async def abandon(self) -> None:
        """Wait for no answers any more; whatever was applied has its effect once when it is read again."""
        tasks = [flight.task for flight in self._flights]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _patience(self) -> float:
        """How long the next message is waited for: behind the stream's last one the cursor need not wait for others."""
        if self._last is None:
            return self._settings.heartbeat_s
        since = 0.0 if self._last.pending else monotonic() - self._alone_at
        return max(0.0, self._settings.settle_after_ms / 1000 - since)

    async def _send(self, items: list[Item]) -> None:
        """Two batches may be under way, since effects do not depend on their order, but for parts of snapshots."""
        alone = self._applier.in_turn(items)
        while self._flights and (alone or self._flights[-1].alone):
            await self._settle()
        cursor, told, self._last = self._cursor(), self._last, None
        applying = asyncio.create_task(self._applier.apply(cursor, items))
        self._flights.append(_Flight(items, applying, told, alone))

    async def _settle(self) -> None:
        """Wait for the oldest batch; what fails in it is written down before its cursor is."""
        flight = self._flights[0]
        await flight.task
        self._flights.popleft()
        if flight.told:
            await self._acknowledge(flight.told)
        letters = judge(flight.items, self._counters)
        if letters:
            await self._dead_letters.publish(letters)
        self._last = flight.items[-1].message

    def _cursor(self) -> Cursor | None:
        return Cursor(self._settings.key, self._last.sequence) if self._last else None

    async def _acknowledge(self, message: Message) -> None:
        lag = max(0.0, time.time() - message.stored_us / 1_000_000)
        self._counters.settled(message.sequence, message.pending, lag)
        await self.pull.acknowledge(message)

    async def _take(self) -> list[Item]:
        """Decode a batch of what is here, in slices: between them the ledger's answers are taken and calls go out."""
        items: list[Item] = []
        lines = pause_at = 0
        now_us = time.time_ns() // 1000
        await self.pull.request()
        while len(items) < self._settings.batch_messages and lines < self._settings.batch_lines:
            message = self.pull.pop()
            if message is None:
                break
            if lines >= pause_at:
                await asyncio.sleep(0)
                pause_at = lines + _SLICE_LINES
            items.append(self._decode(message, now_us))
            lines += 1 + len(items[-1].commands)
        return items

    def _decode(self, message: Message, now_us: int) -> Item:
        try:
            decoded = self._decoder.decode(message, now_us)
            if isinstance(part := next(iter(decoded.commands), None), SnapshotPart):
                return Item(message, decoded.type, decoded.commands[1:], part=part)
            return Item(message, decoded.type, decoded.commands)
        except Rejected as rejected:
            return Item(message, rejected=rejected)
        except Exception as error:  # a gap in the checks above; it must not stop the messages behind it
            log.exception("a message could not be decoded", sequence=message.sequence)
            return Item(message, rejected=Rejected(Reason.UNDECODABLE, repr(error)))
