"""Stock events for callers without NATS: judged as the reader of the stream would, then published to it.

So order, ties, cursor and rebuild are those of everybody else, and what the ledger refuses later becomes a dead letter.
"""

import asyncio
import time
from collections.abc import Callable, Sequence

from msgspec import Struct
from nats.aio.client import Client
from nats.errors import Error as NatsError

from atp.domain.causes import Cause
from atp.domain.identifiers import fault
from atp.domain.posted import Posted, StreamAway, StreamUncertain
from atp.ingest.batches import FeedRefused, FeedUncertain, Outgoing, publish_batch
from atp.ingest.cloudevents import CAUSE, ID_MAX
from atp.ingest.feed import message_id
from atp.ingest.messages import Decoder, Message
from atp.ingest.reasons import Reason, Rejected
from atp.ingest.settings import Settings
from atp.ingest.strictjson import decoder_of
from atp.natspy import message_size

_STRUCTURED = {"Content-Type": "application/cloudevents+json"}
_AT_ONCE = 32  # events decoded before others get their turn
_BATCH_HEADERS = 120  # bytes of what an atomic batch adds


class _Named(Struct):
    """What has to be known before the event is decoded as the stream's reader would."""

    id: str = ""
    source: str = ""


_decode_named = decoder_of(_Named)


class Posting:
    """The door for structured CloudEvents."""

    def __init__(self, nc: Client, settings: Settings | None = None) -> None:
        self._settings = settings or Settings()
        self._nc = nc
        self._js = nc.jetstream(timeout=self._settings.nats_timeout_s)
        self._decoder = Decoder(self._settings)

    async def post(
        self, events: Sequence[bytes], allowed: Callable[[str], bool], cause: Cause, timeout_s: float | None
    ) -> list[Posted]:
        """Store those that can be used as one atomic batch, in their order, and say of each what became of it.

        ``allowed`` says whether the caller may speak for a source; ``cause`` is the request
        that brings them. At most 1,000 events. Raises StreamAway, StreamUncertain.
        """
        if not self._nc.is_connected:
            raise StreamAway("NATS is not connected")
        posted: list[Posted] = []
        taken: dict[str, Outgoing] = {}
        now_us = time.time_ns() // 1000
        for index, event in enumerate(events):
            if index % _AT_ONCE == _AT_ONCE - 1:
                await asyncio.sleep(0)
            named = _Named()
            try:
                named = _decode_named(event, "$", Reason.INVALID_ENVELOPE)
                self._take(named, event, allowed, cause, now_us, taken)
                posted.append(Posted(named.id))
            except Rejected as rejected:
                posted.append(Posted(named.id[:ID_MAX], rejected.reason.value, rejected.detail))
        if taken:
            await self._publish(list(taken.values()), timeout_s)
        return posted

    def _take(
        self,
        named: _Named,
        event: bytes,
        allowed: Callable[[str], bool],
        cause: Cause,
        now_us: int,
        taken: dict[str, Outgoing],
    ) -> None:
        """Add the event to those taken. Raises Rejected."""
        source = named.source
        if wrong := fault(source):
            raise Rejected(Reason.INVALID_ENVELOPE, f"$.source {wrong}")
        if any(c in ".*>" or c.isspace() for c in source):
            raise Rejected(Reason.INVALID_ENVELOPE, "$.source has a dot, star, > or space: it cannot be in a subject")
        if not allowed(source):
            raise Rejected(Reason.SOURCE_NOT_ALLOWED, f"this client may not speak for {source}")
        subject = f"{self._settings.root}.v1.{source}"
        self._decoder.decode(Message(subject, _STRUCTURED, event, 0, stored_us=now_us), now_us)
        id = message_id(source, named.id)
        if id in taken:
            if taken[id].data != event:
                raise Rejected(Reason.DUPLICATE_EVENT, "another event of this request has the same source and id")
            return
        headers = _STRUCTURED | {"Nats-Msg-Id": id, CAUSE: cause.text()}
        if cause.trace:
            headers["traceparent"] = cause.trace
        size = message_size(headers, event) + _BATCH_HEADERS
        if size > self._nc.max_payload:
            raise Rejected(Reason.TOO_LARGE, f"{size} bytes with its headers; NATS takes {self._nc.max_payload}")
        taken[id] = Outgoing(subject, headers, event)

    async def _publish(self, messages: Sequence[Outgoing], timeout_s: float | None) -> None:
        timeout = min(self._settings.nats_timeout_s, timeout_s or self._settings.nats_timeout_s)
        try:
            await publish_batch(self._nc, self._js, messages, timeout)
        except FeedUncertain as error:
            raise StreamUncertain(str(error)) from error
        except FeedRefused as error:
            raise StreamAway(f"the stream did not take them: {error}") from error
        except (NatsError, OSError) as error:
            raise StreamAway(f"NATS does not take them: {str(error) or type(error).__name__}") from error
