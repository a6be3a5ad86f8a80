"""Messages: entries and availability as CloudEvents 1.0 in binary mode (CONTRACT "NATS", out).

A message depends on nothing but its entry, so a repeat under the same id is the same message; only how much of a very
large one can be said depends on what the NATS server takes.
"""

import re
from typing import Literal
from urllib.parse import quote

from msgspec import Struct, json, structs

from atp.domain.causes import trace_of
from atp.domain.entries import (
    Acknowledged,
    AnyEntry,
    Committed,
    ExceptionRaised,
    ExceptionResolved,
    Expired,
    Extended,
    Fulfilled,
    Held,
    Released,
    ShortageAffected,
    ShortageClosed,
    ShortageFound,
    Touched,
    Transferred,
)
from atp.domain.ids import digest53
from atp.domain.records import SkuUnits
from atp.domain.times import rfc3339
from atp.domain.touched import concerns_all
from atp.domain.views import ReservationView, reservation_view

#: Header values keep printable ASCII but the quote and the percent sign (CloudEvents HTTP and NATS bindings).
_PLAIN = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"%')

_IS_PLAIN = re.compile(f"[{re.escape(_PLAIN)}]*").fullmatch

_encode = json.Encoder().encode
_decode_reservation = json.Decoder(ReservationView).decode

#: Bytes that headers and the marks of an atomic batch may take: most of it a reason, percent-encoded.
HEADERS_MAX = 8_192


class Message(Struct, frozen=True):
    """One event, ready to be sent."""

    subject: str
    headers: dict[str, str]
    data: bytes

    @property
    def id(self) -> str:
        return self.headers["Nats-Msg-Id"]

    @property
    def type(self) -> str:
        """One of the few kinds of events."""
        return self.headers["ce-type"]


class ShortageData(Struct, frozen=True):
    """A source lowered stock below what is held and committed (R28)."""

    event: Literal["found"]
    sku: str
    location: str
    short_by: int
    policy: str  # "report" or "revoke_holds"
    position: str


class VictimData(Struct, frozen=True):
    """A reservation that may not get its units at the position."""

    reservation: str
    held: int  # before
    committed: int
    revoked: int  # held units that were given back for the shortage


class ShortageAffectedData(Struct, frozen=True):
    """Some of the reservations that a shortage affects; the last page says so."""

    event: Literal["affected"]
    sku: str
    location: str
    short_by: int  # now
    shortage: str  # position of the event that told of it
    reservations: list[VictimData]
    last: bool
    position: str


class ShortageClosedData(Struct, frozen=True):
    """The position's units cover what is promised again."""

    event: Literal["closed"]
    sku: str
    location: str
    shortage: str
    position: str


class ExceptionRaisedData(Struct, frozen=True):
    """Something a person should look at."""

    event: Literal["raised"]
    kind: str
    sku: str
    location: str
    source: str
    reservation: str
    detail: str
    position: str


class ExceptionResolvedData(Struct, frozen=True):
    """An exception is over."""

    event: Literal["resolved"]
    kind: str
    exception: str  # position of the event that raised it
    resolution: str
    reason: str
    position: str


class RefreshData(Struct, frozen=True, omit_defaults=True):
    """A source says that its number of a sku is another one now: whoever reads that source fetches it (R39)."""

    sku: str
    source: str
    position: str
    location: str = ""  # none: everywhere


class NetworkData(Struct, frozen=True):
    """Any sku may have other units since, and its next availability event need not be due: read all anew.

    ``reason`` is the kind of policy that was put, ``epoch`` after a rebuild, or ``entries-missing``.
    """

    reason: str
    position: str


class AvailabilityData(Struct, frozen=True):
    """The newest availability of a sku; states between two events are left out (R33)."""

    sku: str
    channel: str
    ats: int
    position: str
    as_of: str  # when the ledger was read


_OfReservation = Held | Committed | Released | Extended | Expired | Fulfilled | Acknowledged | Transferred


class Messages:
    """Makes the messages of one partition."""

    def __init__(self, root: str, namespace: str, partition: int) -> None:
        self._root = root
        self._source = f"/atp/{header_text(namespace)}/{partition}"
        self._partition = partition

    def of_entry(self, entry: AnyEntry) -> Message | None:
        """The event that tells of this entry; None for those that only concern atp itself."""
        match entry:
            case Held():
                return self._reservation(entry, "held")
            case Committed():
                return self._reservation(entry, "committed")
            case Released():
                message = self._reservation(entry, "released")
                if entry.reason:
                    message.headers["ce-reason"] = header_text(entry.reason)
                return message
            case Extended():
                return self._reservation(entry, "extended")
            case Expired():
                return self._reservation(entry, "expired")
            case Fulfilled():
                return self._reservation(entry, "fulfilled")
            case Acknowledged():
                return self._reservation(entry, "acknowledged")
            case Transferred():
                return self._reservation(entry, "transferred")
            case ShortageFound():
                position = f"{self._partition}:{entry.seq}"
                data = ShortageData("found", entry.sku, entry.location, entry.short_by, entry.policy, position)
                return self._message("shortage", position, entry.at, entry.sku, _encode(data), entry.cause)
            case ShortageAffected():
                position, found = f"{self._partition}:{entry.seq}", f"{self._partition}:{entry.shortage}"
                reservations = [VictimData(v.reservation, v.held, v.committed, v.revoked) for v in entry.victims]
                data = ShortageAffectedData(
                    "affected", entry.sku, entry.location, entry.short_by, found, reservations, entry.last, position
                )
                return self._message("shortage", position, entry.at, entry.sku, _encode(data), entry.cause)
            case ShortageClosed():
                position, found = f"{self._partition}:{entry.seq}", f"{self._partition}:{entry.shortage}"
                data = ShortageClosedData("closed", entry.sku, entry.location, found, position)
                return self._message("shortage", position, entry.at, entry.sku, _encode(data), entry.cause)
            case ExceptionRaised() as e:
                position = f"{self._partition}:{e.seq}"
                data = ExceptionRaisedData(
                    "raised", e.kind, e.sku, e.location, e.source, e.reservation, e.detail, position
                )
                about = e.reservation or e.sku or e.location or e.source or e.kind
                return self._message("exception", position, e.at, about, _encode(data), e.cause)
            case ExceptionResolved() as e:
                position, raised = f"{self._partition}:{e.seq}", f"{self._partition}:{e.raised}"
                data = ExceptionResolvedData("resolved", e.kind, raised, e.resolution, e.reason, position)
                return self._message("exception", position, e.at, e.kind, _encode(data), e.cause)
            case Touched() as e:
                position = f"{self._partition}:{e.seq}"
                data = RefreshData(e.sku, e.source, position, e.location)
                return self._message("refresh", position, e.at, e.sku, _encode(data), e.cause)
            case _ if reason := concerns_all(entry):
                position = f"{self._partition}:{entry.seq}"
                data = NetworkData(reason, position)
                return self._message("network", position, entry.at, reason, _encode(data), entry.cause)
            case _:
                return None

    def of_availability(self, stock: SkuUnits, now_ms: int) -> Message:
        """The state event of one sku. Its id is the sku's last change, made unlike that of the entry itself."""
        position = f"{self._partition}:{stock.seq}"
        data = AvailabilityData(stock.sku, "default", stock.ats, position, rfc3339(now_ms))
        return self._message(
            "availability", f"{position}:{digest53(stock.sku)}", now_ms, stock.sku, _encode(data), cause=""
        )

    def _reservation(self, entry: _OfReservation, what: str) -> Message:
        record = entry.reservation
        view = reservation_view(record, self._partition, entry.at)
        id = f"{self._partition}:{entry.seq}"
        return self._message(f"reservation.{what}", id, entry.at, record.id, _encode(view), entry.cause)

    def _message(self, what: str, id: str, at: int, about: str, data: bytes, cause: str) -> Message:
        subject = f"{self._root}.{what}"
        headers = {
            "Nats-Msg-Id": id,
            "ce-specversion": "1.0",
            "ce-id": id,
            "ce-source": self._source,
            "ce-type": subject,
            "ce-time": rfc3339(at),
            "ce-subject": header_text(about),
            "content-type": "application/json",
        }
        if cause and (trace := trace_of(cause)):
            headers["traceparent"] = trace
        return Message(subject, headers, data)


def fitting(message: Message, most: int) -> Message:
    """The message, or of a reservation that is larger than the ``most`` bytes NATS takes what fits; ``ce-omitted`` says
    what does not. A basket drawn from thousands of places would stop everything behind it for good otherwise.
    """
    if len(message.data) + HEADERS_MAX <= most or ".reservation." not in message.subject:
        return message
    view = _decode_reservation(message.data)
    data = _encode(structs.replace(view, lines=[structs.replace(line, allocations=[]) for line in view.lines]))
    omitted = "allocations"
    if len(data) + HEADERS_MAX > most:
        data, omitted = _encode(structs.replace(view, lines=[])), "lines"
    return Message(message.subject, message.headers | {"ce-omitted": omitted}, data)


def header_text(value: str) -> str:
    """A CloudEvents attribute as a header value: percent-encoded UTF-8 outside of plain ASCII."""
    return value if _IS_PLAIN(value) else quote(value, safe=_PLAIN)
