"""The loop's core: messages in stream order → one ledger call per batch → dead letters → cursor → acknowledgement.

A batch's cursor is written only after its dead letters are, at the head of the next batch or alone when the stream is
idle; so a process that dies at any point repeats at most what was not settled, and the law gives repeated events no
second effect.
"""

import asyncio
import time

import structlog

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
        self._ready: list[Item] = []  # decoded while the batch before was applied
        self._last: Message | None = None  # all up to here is done, and the ledger does not know it yet

    async def run_once(self) -> int:
        """Settle one batch, or write the cursor if none comes; the number of messages settled."""
        items = self._ready or self._take()
        if not items:
            patience = self._settings.settle_after_ms / 1000 if self._last else self._settings.heartbeat_s
            if not await self.pull.wait(patience) and self._last:
                await self.finish()
            return 0
        applying = asyncio.create_task(self._applier.apply(self._cursor(), items))
        try:
            await asyncio.sleep(0)  # the call goes out, and while the ledger works the next batch is decoded
            await self.pull.request()
            self._ready = self._take()
            await applying
        except BaseException:
            applying.cancel()
            await asyncio.gather(applying, return_exceptions=True)
            raise
        await self._acknowledge()
        letters = judge(items, self._counters)
        if letters:
            await self._dead_letters.publish(letters)
        self._last = items[-1].message
        return len(items)

    async def finish(self) -> None:
        """Let the ledger know what is settled, without waiting for another batch."""
        if self._last:
            await self._applier.apply(self._cursor(), [])
            await self._acknowledge()

    def _cursor(self) -> Cursor | None:
        return Cursor(self._settings.key, self._last.sequence) if self._last else None

    async def _acknowledge(self) -> None:
        """The ledger has the cursor on disk: tell the server, and everybody who looks."""
        if self._last:
            message, self._last = self._last, None
            lag = max(0.0, time.time() - message.stored_us / 1_000_000)
            self._counters.settled(message.sequence, message.pending, lag)
            await self.pull.acknowledge(message)

    def _take(self) -> list[Item]:
        items: list[Item] = []
        lines = 0
        now_us = time.time_ns() // 1000
        while len(items) < self._settings.batch_messages and lines < self._settings.batch_lines:
            message = self.pull.pop()
            if message is None:
                break
            items.append(self._decode(message, now_us))
            lines += len(items[-1].commands)
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
