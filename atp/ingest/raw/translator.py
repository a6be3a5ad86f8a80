"""The stream of raw messages, read in order by one process and published as canonical events.

The same message makes the same events with the same ids, so whatever is read again has no second effect. As for stock
events, the ledger's cursor is the truth about what is done (R15); it moves when all events and dead letters are stored.
"""

import asyncio
import secrets
import time
from collections.abc import Sequence
from contextlib import suppress

import structlog
from msgspec import Struct, structs
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError

from atp.deadletters import RECEIVED
from atp.domain.commands import Cursor
from atp.ingest.batches import BATCH_MAX, FeedRefused, Outgoing, publish_batch
from atp.ingest.cloudevents import CAUSE
from atp.ingest.counters import Counters
from atp.ingest.deadletters import DeadLetter, DeadLetters
from atp.ingest.feed import outgoing
from atp.ingest.mapped import to_publish
from atp.ingest.messages import Message
from atp.ingest.raw.formats import Formats
from atp.ingest.reasons import Reason, Rejected
from atp.ingest.settings import Settings
from atp.ingest.streams import ensure_streams
from atp.ledger import Ledger, LedgerError
from atp.mapping import Message as RawMessage
from atp.mapping import Refused
from atp.natspy import message_size, repair
from atp.waiting import Attempts, stopped_within

_AT_ONCE = 32  # messages of up to a megabyte
_WAIT_S = 1.0  # for the first of them; the end of the process waits for it
_BATCH_HEADERS = 120

log = structlog.get_logger("atp.ingest")


class Translated(Struct):
    """What became of one message."""

    messages: list[Outgoing] = []
    letter: DeadLetter | None = None


class Translator:
    """Any number may run; the one with the lease translates, the others stand by."""

    def __init__(self, nc: Client, ledger: Ledger, formats: Formats, settings: Settings | None = None) -> None:
        self._settings = settings or Settings()
        repair(nc)
        self._nc = nc
        self._js: JetStreamContext = nc.jetstream(timeout=self._settings.nats_timeout_s)
        self._ledger = ledger
        self._formats = formats
        self._letters = DeadLetters(nc, self._js, structs.replace(self._settings, stream=self._settings.raw))
        self._owner = secrets.token_hex(8)
        self._attempts = Attempts(log.bind(loop="translating"), self._settings.retry_min_s, self._settings.retry_max_s)
        self.counters = Counters()

    async def run(self, stop: asyncio.Event) -> None:
        """Translate until ``stop`` is set. Raises StreamUnfit; whatever is away is waited for."""
        s = self._settings
        while not stop.is_set():
            try:
                if await self._lease(s.lease_ttl_ms):
                    await self._session(stop)
                    await self._lease(1)
                else:
                    await stopped_within(stop, s.lease_ttl_ms / 3_000)
            except (LedgerError, FeedRefused, NatsError, TimeoutError, OSError) as error:
                self.counters.restarts += 1
                await stopped_within(stop, self._attempts.failed(error))

    async def _session(self, stop: asyncio.Event) -> None:
        """Translate what comes, as long as the lease holds."""
        s = self._settings
        cursor = await self._ledger.cursor(s.raw_key)
        await ensure_streams(self._js, s, await self._ledger.cursor(s.key), cursor)
        with suppress(NotFoundError):
            await self._js.delete_consumer(s.raw, s.translator)
        config = ConsumerConfig(
            durable_name=s.translator,
            description="atp's reader of vendors' messages; made anew behind the ledger's cursor at every start",
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=cursor + 1,
            ack_policy=AckPolicy.ALL,
            ack_wait=s.ack_wait_s,
            max_ack_pending=_AT_ONCE * 4,
        )
        await self._js.add_consumer(s.raw, config)
        reader = await self._js.pull_subscribe_bind(stream=s.raw, durable=s.translator)
        self._attempts.succeeded()
        self.counters.active = True
        renewed = time.monotonic()
        try:
            while not stop.is_set():
                if time.monotonic() - renewed > s.lease_ttl_ms / 3_000:
                    if not await self._lease(s.lease_ttl_ms):
                        return
                    renewed = time.monotonic()
                try:
                    messages = await reader.fetch(_AT_ONCE, timeout=min(_WAIT_S, s.lease_ttl_ms / 3_000))
                except TimeoutError:
                    continue
                if messages:
                    await self._settle(messages)
                else:  # the client's word for many things, also that the consumer is gone, which this raises
                    await self._js.consumer_info(s.raw, s.translator)
                    await stopped_within(stop, s.retry_min_s)
        finally:
            self.counters.active = False
            with suppress(NatsError):
                await reader.unsubscribe()

    async def _settle(self, messages: Sequence[Msg]) -> None:
        """Store what the messages make, then acknowledge them together."""
        outgoing: dict[str, Outgoing] = {}
        letters: list[DeadLetter] = []
        for each in messages:
            message = _message(each)
            translated = self.translate(message)
            outgoing |= {one.headers["Nats-Msg-Id"]: one for one in translated.messages}
            if letter := translated.letter:
                message.headers = {**(message.headers or {}), RECEIVED: str(_received_us(message))}
                letters.append(letter)
            await asyncio.sleep(0)  # a large one takes a while, and others share this loop
        events = list(outgoing.values())
        for start in range(0, len(events), BATCH_MAX):
            await publish_batch(self._nc, self._js, events[start : start + BATCH_MAX], self._settings.nats_timeout_s)
        if letters:
            await self._letters.publish(letters)
        for letter in letters:
            self.counters.count_dead_letter(letter.reason)
            log.warning("dead letter", reason=letter.reason, detail=letter.detail, sequence=letter.message.sequence)
        position = messages[-1].metadata.sequence.stream
        await self._ledger.apply([Cursor(self._settings.raw_key, position)])
        await messages[-1].ack()
        self.counters.messages += len(messages)
        self.counters.position = position

    def translate(self, message: Message) -> Translated:
        """The events of one message as they are published, or why there are none."""
        try:
            return Translated(self._events(message))
        except Rejected as rejected:
            return Translated(letter=DeadLetter(message, rejected.reason, rejected.detail))
        except Refused as refused:
            return Translated(letter=DeadLetter(message, Reason(refused.reason.value), refused.detail))
        except Exception as error:  # a gap in the mapping's checks; it must not stop the messages behind it
            log.exception("a message could not be translated", sequence=message.sequence)
            return Translated(letter=DeadLetter(message, Reason.UNDECODABLE, repr(error)))

    def _events(self, message: Message) -> list[Outgoing]:
        tokens = message.subject.split(".")
        if len(tokens) != 4:
            expected = f"{self._settings.root}.raw.<mapping>.<source>"
            raise Rejected(Reason.INVALID_SUBJECT, f"not {expected}: a source has no dot")
        mapping = self._formats.get(tokens[2])
        if mapping is None:
            raise Rejected(Reason.UNKNOWN_MAPPING, f"there is no mapping {tokens[2]!r}")
        headers = {name.lower(): value for name, value in (message.headers or {}).items()}
        mapped = mapping.apply(RawMessage.at(message.data, headers, _received_us(message)), tokens[3])
        found = [outgoing(to_publish(event), self._settings) for event in mapped.events]
        for one in found:
            if by := headers.get(CAUSE):
                one.headers[CAUSE] = by
            size = message_size(one.headers, one.data) + _BATCH_HEADERS
            if size > self._nc.max_payload:
                raise Rejected(Reason.TOO_LARGE, f"an event has {size} bytes; NATS takes {self._nc.max_payload}")
        return found

    async def _lease(self, ttl_ms: int) -> bool:
        return await self._ledger.lease(f"ingest:{self._settings.raw}", self._owner, ttl_ms)


def _received_us(message: Message) -> int:
    """When it came first: the stream's time, so that it has the same version when it is read again, or replayed."""
    said = (message.headers or {}).get(RECEIVED, "")
    return int(said) if said.isascii() and said.isdigit() and len(said) <= 16 else message.stored_us


def _message(msg: Msg) -> Message:
    meta = msg.metadata
    stored_us = int(meta.timestamp.timestamp() * 1_000_000)
    return Message(msg.subject, msg.headers, msg.data, meta.sequence.stream, meta.num_delivered, stored_us)
