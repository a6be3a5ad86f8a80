"""Who reads, and from where: the process with the lease, from the ledger's cursor, again and again after any doubt.

The ledger's cursor is the truth about what is settled (R15), so reading starts there at every start, whatever the
stream's own consumer remembers.
"""

import asyncio
import secrets

import structlog
from nats.aio.client import Client
from nats.errors import Error as NatsError

from atp.ingest.applying import Applier, LedgerMoved, Stopping
from atp.ingest.counters import Counters
from atp.ingest.deadletters import DeadLetters
from atp.ingest.messages import Decoder
from atp.ingest.pull import Interrupted, Pull
from atp.ingest.session import Session
from atp.ingest.settings import Settings
from atp.ingest.streams import ensure_streams
from atp.journal import Journal
from atp.ledger import Ledger, LedgerError
from atp.natspy import repair
from atp.waiting import Attempts, stopped_within

log = structlog.get_logger("atp.ingest")


class Consumer:
    """One shard's reader. Any number may run; the one with the lease reads, the others stand by."""

    def __init__(
        self, nc: Client, ledger: Ledger, settings: Settings | None = None, journal: Journal | None = None
    ) -> None:
        self._settings = settings or Settings()
        repair(nc)
        self._nc = nc
        self._js = nc.jetstream(timeout=self._settings.nats_timeout_s)
        self._ledger = ledger
        self._journal = journal
        self._decoder = Decoder(self._settings)
        self._dead_letters = DeadLetters(nc, self._js, self._settings)
        self._owner = secrets.token_hex(8)
        self._attempts = Attempts(log.bind(loop="reading"), self._settings.retry_min_s, self._settings.retry_max_s)
        self.counters = Counters()

    async def run(self, stop: asyncio.Event) -> None:
        """Read until ``stop`` is set; what is in hand is finished first, unless the ledger is away.

        Raises StreamUnfit. Everything else is waited out: the stream keeps what comes meanwhile.
        """
        s = self._settings
        while not stop.is_set():
            try:
                if await self._lease(s.lease_ttl_ms):
                    await self._session(stop)
                else:
                    await stopped_within(stop, s.lease_ttl_ms / 3_000)
            except (LedgerError, LedgerMoved, Interrupted, NatsError, TimeoutError, OSError) as error:
                self.counters.restarts += 1
                await stopped_within(stop, self._attempts.failed(error))

    async def _session(self, stop: asyncio.Event) -> None:
        """Read from the ledger's cursor on, as long as lease, connection and order hold."""
        session = await self._open(stop)
        self._attempts.succeeded()
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
            await session.abandon()
            await session.pull.close()

    async def _open(self, stop: asyncio.Event) -> Session:
        epochs = self._ledger.epochs  # before the cursor: one that is read earlier would be too high after a rebuild
        cursor = await self._ledger.cursor(self._settings.key)
        raw = await self._ledger.cursor(self._settings.raw_key)
        info = await ensure_streams(self._js, self._settings, cursor, raw)
        missed = info.state.first_seq - 1 - cursor
        if info.state.first_seq and missed > 0:
            self.counters.missed = max(self.counters.missed, missed)
            log.error("messages left the stream before they were read", messages=missed, after=cursor)
        pull = Pull(self._nc, self._js, self._settings)
        await pull.open(cursor)
        self.counters.position = cursor
        applier = Applier(self._ledger, self._settings, self.counters, stop, self._journal)
        applier.confirmed, applier.epochs = cursor, epochs
        return Session(self._settings, self.counters, self._decoder, self._dead_letters, pull, applier)

    async def _lease(self, ttl_ms: int) -> bool:
        return await self._ledger.lease(f"ingest:{self._settings.key}", self._owner, ttl_ms)

    async def _hold_lease(self, session: Session) -> None:
        while True:
            await asyncio.sleep(self._settings.lease_ttl_ms / 3_000)
            try:
                if not await self._lease(self._settings.lease_ttl_ms):
                    return session.pull.interrupt("another process took the lease")
            except LedgerError:
                pass  # nobody can take it either; the batch in hand waits for the ledger too


async def _wake(stop: asyncio.Event, pull: Pull) -> None:
    await stop.wait()
    pull.wake()
