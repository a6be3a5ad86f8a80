"""Told: one event as every kind of it is read: who says it, as of which version, and where it stands in the stream."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from atp.domain.ids import digest53
from atp.domain.records import split_version
from atp.ingest.cloudevents import CloudEvent
from atp.ingest.reasons import Reason, Rejected

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_Time = Annotated[datetime, Meta(tz=True)]


class Version(Struct, gc=False):
    """Which of a source's events is the newer one (R14)."""

    kind: str  # "sequence" or "time"
    number: tuple[int, int]  # records.split_version
    as_of: int  # ms, the source's own time of the event, or 0


class Told(Struct):
    """One event of one source."""

    source: str
    event: CloudEvent
    stream: str  # stream and shard, as the ledger's cursors name them
    position: int  # in the stream
    now_us: int  # the later of our clock and the stream's, when it took the message
    future_us: int  # a time further ahead of now would block its position

    def version(self) -> Version:
        """The event's own. Raises Rejected."""
        return self.version_of(self.event.sequence, self.event.time)

    def version_of(self, sequence: str, time: str) -> Version:
        """By sequence, else by time; "" for what is not given. Raises Rejected."""
        at = _micros(time) if time else 0
        # A clock that runs ahead must not make the source look fresh for as long as it does.
        as_of = min(at, self.now_us) // 1000
        if sequence:
            return Version("sequence", split_version(_sequence(sequence)), as_of)
        if not time:
            raise Rejected(Reason.VERSION_MISSING, "neither a sequence nor a time says which event is the newer one")
        if at > self.now_us + self.future_us:
            ahead = (at - self.now_us) // 1_000_000
            raise Rejected(Reason.VERSION_IN_FUTURE, f"time {time[:40]} is {ahead} s ahead of the clock")
        return Version("time", split_version(at), as_of)

    def line(self, index: int) -> int:
        """What makes a line of the event the same line when it comes again."""
        return digest53(self.source, self.event.id, str(index))


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
