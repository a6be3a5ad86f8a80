"""One JetStream message → the domain's commands: the only place that knows subjects, types and versions."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, Struct

from atp.domain.commands import Delta, Level
from atp.domain.identifiers import fault
from atp.domain.ids import digest53
from atp.domain.records import split_version
from atp.ingest import cloudevents, payloads
from atp.ingest.cloudevents import CloudEvent
from atp.ingest.reasons import Reason, Rejected
from atp.ingest.settings import Settings

LEVEL = "atp.stock.level.v1"
DELTA = "atp.stock.delta.v1"
HEARTBEAT = "atp.source.heartbeat.v1"

#: Types of the contract that this release does not apply yet.
_PLANNED = frozenset(
    (
        "atp.stock.snapshot.v1",
        "atp.stock.touch.v1",
        "atp.stock.status.v1",
        "atp.supply.incoming.v1",
        "atp.supply.received.v1",
        "atp.order.acknowledged.v1",
        "atp.order.fulfilled.v1",
        "atp.order.cancelled.v1",
        "atp.return.received.v1",
    )
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_Time = Annotated[datetime, Meta(tz=True)]


class Message(Struct):
    """What a stream delivers."""

    subject: str
    headers: Mapping[str, str] | None
    data: bytes
    sequence: int  # in the stream
    deliveries: int = 1
    stored_us: int = 0  # when the stream took it
    pending: int = 0  # messages behind it at the time it was delivered
    reply: str = ""  # where to acknowledge


class Decoder:
    """Decodes the messages of one stream's shard."""

    def __init__(self, settings: Settings) -> None:
        self._key = settings.key
        self._prefix = f"{settings.root}.v1."
        self._future_us = settings.future_max_s * 1_000_000
        self._payload_max = settings.payload_max_bytes

    def source(self, subject: str) -> str:
        """The subject's token is the source; what the event itself says of it is not trusted (R34)."""
        source, _, shard = subject.removeprefix(self._prefix).partition(".")
        if not subject.startswith(self._prefix) or "." in shard:
            raise Rejected(Reason.INVALID_SUBJECT, f"not {self._prefix}<source> or {self._prefix}<source>.<shard>")
        if wrong := fault(source):
            raise Rejected(Reason.INVALID_SUBJECT, f"the source {wrong}")
        return source

    def decode(self, message: Message, now_us: int) -> list[Level | Delta]:
        """One command a line; none for a heartbeat. Raises Rejected for the message's own faults."""
        source = self.source(message.subject)
        if len(message.data) > self._payload_max:
            size = len(message.data)
            raise Rejected(Reason.TOO_LARGE, f"{size} bytes; at most {self._payload_max} are read")
        event = cloudevents.read(message.headers, message.data)
        if event.type == LEVEL:
            return self._levels(message, source, event, now_us)
        if event.type == DELTA:
            return self._deltas(message, source, event, now_us)
        if event.type == HEARTBEAT:
            payloads.check_heartbeat(event.data, event.root)
            return []
        if event.type in _PLANNED:
            raise Rejected(Reason.UNSUPPORTED_TYPE, f"{event.type} is not supported by this release yet")
        raise Rejected(Reason.UNSUPPORTED_TYPE, f"{event.type[:128]} is not a type of the contract")

    def _levels(self, message: Message, source: str, event: CloudEvent, now_us: int) -> list[Level | Delta]:
        kind, version, as_of = self._version(event, max(now_us, message.stored_us))
        return [
            Level(
                line.sku, line.location, source, line.quantity, kind, version, self._key, message.sequence, as_of,
                "" if line.measure is UNSET else line.measure, event.cause,
            )
            for line in payloads.level_lines(event.data, event.root)
        ]  # fmt: skip

    def _deltas(self, message: Message, source: str, event: CloudEvent, now_us: int) -> list[Level | Delta]:
        kind, version, as_of = self._version(event, max(now_us, message.stored_us))
        return [
            Delta(
                line.sku, line.location, source, line.quantity, kind, version, self._key, message.sequence, as_of,
                digest53(source, event.id, str(index)), event.cause,
            )
            for index, line in enumerate(payloads.delta_lines(event.data, event.root))
        ]  # fmt: skip

    def _version(self, event: CloudEvent, now_us: int) -> tuple[str, tuple[int, int], int]:
        """(kind, version, the source's time in ms or 0); sequence before time (R14)."""
        at = _micros(event.time) if event.time else 0
        if event.sequence:
            # A clock that runs ahead must not make the source look fresh for as long as it does.
            return "sequence", split_version(_sequence(event.sequence)), min(at, now_us) // 1000
        if not event.time:
            raise Rejected(Reason.VERSION_MISSING, "neither a sequence nor a time says which event is the newer one")
        if at > now_us + self._future_us:
            ahead = (at - now_us) // 1_000_000
            raise Rejected(Reason.VERSION_IN_FUTURE, f"time {event.time[:40]} is {ahead} s ahead of the clock")
        return "time", split_version(at), min(at, now_us) // 1000


def _sequence(text: str) -> int:
    """Compared as a number: CloudEvents would compare text, and "10" is before "9" there (R14)."""
    if text.isascii() and text.isdigit() and len(text) <= 19 and (number := int(text)) < 1 << 63:
        return number
    raise Rejected(Reason.INVALID_VERSION, f"sequence {text[:40]!r} is not an unsigned decimal below 2^63")


def _micros(text: str) -> int:
    try:
        micros = (msgspec.convert(text, _Time) - _EPOCH) // _MICROSECOND
    except (msgspec.ValidationError, OverflowError):
        raise Rejected(Reason.INVALID_VERSION, f"time {text[:40]!r} is not RFC 3339 with an offset") from None
    if micros < 0:
        raise Rejected(Reason.INVALID_VERSION, f"time {text[:40]!r} is before 1970")
    return micros
