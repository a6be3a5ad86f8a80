"""The ingest loop: messages in stream order → one ledger call per batch → dead letters → cursor → acknowledgement.

The ledger's cursor is the truth about what is settled (R15). A batch's cursor is written only after its dead letters
are, at the head of the next batch or alone when the stream is idle; so a process that dies at any point repeats at
most what was not settled, and the law gives repeated events no second effect.
"""

import asyncio
import secrets
import time

import structlog
from nats.aio.client import Client
from nats.errors import Error as NatsError

from atp.domain.commands import Cursor
from atp.domain.outcomes import Outcome
from atp.ingest.applying import Applier, Item, LedgerMoved, Stopping
from atp.ingest.counters import Counters
from atp.ingest.deadletters import DeadLetter, DeadLetters
from atp.ingest.hardening import harden
from atp.ingest.messages import Decoder, Message
from atp.ingest.pull import Interrupted, Pull
from atp.ingest.reasons import Reason, Rejected
from atp.ingest.settings import Settings
from atp.ingest.streams import ensure_streams
from atp.ingest.verdicts import dead_letter_of
from atp.ingest.waiting import stopped_within
from atp.ledger import Ledger, LedgerError

log = structlog.get_logger("atp.ingest")


class Consumer:
    """One shard's reader. Any number may run; the one with the lease reads, the others stand by."""

    def __init__(self, nc: Client, ledger: Ledger, settings: Settings | None = None) -> None:
        self._settings = settings or Settings()
        harden(nc)
        self._nc = nc
        self._js = nc.jetstream(timeout=self._settings.nats_timeout_s)
        self._ledger = ledger
        self._decoder = Decoder(self._settings)
        self._dead_letters = DeadLetters(nc, self._js, self._settings)
        self._owner = secrets.token_hex(8)
        self.counters = Counters()

    async def run(self, stop: asyncio.Event) -> None:
        """Read until ``stop`` is set; what is in hand is finished first, unless the ledger is away.

        Raises StreamUnfit. Everything else is waited out: the stream keeps what comes meanwhile.
        """
        s, pause = self._settings, self._settings.retry_min_s
        while not stop.is_set():
            before = self.counters.position
            try:
                if await self._lease(s.lease_ttl_ms):
                    await self._session(stop)
                else:
                    await stopped_within(stop, s.lease_ttl_ms / 3_000)
            except (LedgerError, LedgerMoved, Interrupted, NatsError, TimeoutError, OSError) as error:
                self.counters.restarts += 1
                log.warning("reading starts again at the ledger's cursor", reason=repr(error), pause_s=pause)
                await stopped_within(stop, pause)
                pause = s.retry_min_s if self.counters.position > before else min(2 * pause, s.retry_max_s)

    async def _session(self, stop: asyncio.Event) -> None:
        """Read from the ledger's cursor on, as long as lease, connection and order hold."""
        session = await self._open(stop)
        self.counters.active = True
        helpers = [asyncio.create_task(self._hold_lease(session)), asyncio.create_task(_wake(stop, session.pull))]
        try:
            while not stop.is_set():
                await session.run_once()
            await session.finish()
            await self._lease(1)  # a standby need not wait
        except Stopping:
            pass
        finally:
            self.counters.active = False
            for helper in helpers:
                helper.cancel()
            await session.pull.close()

    async def _open(self, stop: asyncio.Event) -> "_Session":
        cursor = await self._ledger.cursor(self._settings.key)
        info = await ensure_streams(self._js, self._settings, cursor)
        missed = info.state.first_seq - 1 - cursor
        if info.state.first_seq and missed > 0:
            self.counters.missed = max(self.counters.missed, missed)
            log.error("messages left the stream before they were read", messages=missed, after=cursor)
        pull = Pull(self._nc, self._js, self._settings)
        await pull.open(cursor)
        self.counters.position = cursor
        applier = Applier(self._ledger, self._settings, self.counters, stop)
        applier.confirmed = cursor
        return _Session(self._settings, self.counters, self._decoder, self._dead_letters, pull, applier)

    async def _lease(self, ttl_ms: int) -> bool:
        return await self._ledger.lease(f"ingest:{self._settings.key}", self._owner, ttl_ms)

    async def _hold_lease(self, session: "_Session") -> None:
        while True:
            await asyncio.sleep(self._settings.lease_ttl_ms / 3_000)
            try:
                if not await self._lease(self._settings.lease_ttl_ms):
                    return session.pull.interrupt("another process took the lease")
            except LedgerError:
                pass  # nobody can take it either; the batch in hand waits for the ledger too


class _Session:
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
        await self._dead_letters.publish([letter for item in items if (letter := self._judge(item))])
        self._last = items[-1].message
        self._counters.messages += len(items)
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
            self._counters.position = message.sequence
            self._counters.lag_messages = message.pending
            self._counters.lag_seconds = max(0.0, time.time() - message.stored_us / 1_000_000)
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
            return Item(message, self._decoder.decode(message, now_us))
        except Rejected as rejected:
            return Item(message, rejected=rejected)
        except Exception as error:  # a gap in the checks above; it must not stop the messages behind it
            log.exception("a message could not be decoded", sequence=message.sequence)
            return Item(message, rejected=Rejected(Reason.UNDECODABLE, repr(error)))

    def _judge(self, item: Item) -> DeadLetter | None:
        """Count what became of the message, and say if and why it is to be set aside."""
        for command, result in zip(item.commands, item.results, strict=False):
            self._counters.events[result.outcome.name.lower()] += 1
            if result.outcome is Outcome.LATE_DELTA:
                log.warning(
                    "a delta is older than the memory of deltas and was not applied",
                    sku=command.sku,
                    location=command.location,
                    source=command.source,
                    sequence=item.message.sequence,
                )
        letter = dead_letter_of(item)
        if letter:
            self._counters.dead_letters[str(letter.reason)] += 1
            log.warning("dead letter", reason=letter.reason, detail=letter.detail, sequence=item.message.sequence)
        elif not item.commands:
            self._counters.heartbeats += 1
        return letter


async def _wake(stop: asyncio.Event, pull: Pull) -> None:
    await stop.wait()
    pull.wake()
