"""CloudEvents 1.0 on NATS, both modes, as far as stock needs them.

Binary mode: ``ce-*`` headers, values percent-encoded, the payload is the data. Structured mode: ``Content-Type:
application/cloudevents+json``, the payload is the whole event. Header names differ in case from client to client and
are read without it (NATS protocol binding of CloudEvents; research/libraries.md §3.1).
"""

import binascii
import re
from base64 import b64decode
from collections.abc import Mapping
from urllib.parse import unquote

from msgspec import Raw, Struct

from atp.domain.causes import TRACEPARENT, Cause, cause_of
from atp.domain.identifiers import fault
from atp.ingest.reasons import Reason, Rejected
from atp.ingest.strictjson import decoder_of, refuse_repeated_keys

#: Characters of an event's id; it is kept in the cause of entries.
ID_MAX = 256

#: Header of a message that came by the API: the request that brought it.
CAUSE = "atp-cause"

_CAUSE_MAX = 1_024  # characters
_JSON_TYPE = re.compile(r"(?:application|text)/(?:[\w.-]+\+)?json *(?:;.*)?", re.IGNORECASE)


class CloudEvent(Struct, gc=False):
    """One event, its attributes as text and its data as JSON that nobody has read yet."""

    id: str
    type: str
    sequence: str  # "" when absent
    time: str  # "" when absent
    cause: str  # as entries keep it: id, trace, and the request that brought it (``domain/causes.py``)
    data: bytes | Raw
    root: str  # JSON path of the data inside the payload, for messages about it


class _Envelope(Struct):
    # Extensions of others are allowed, so unknown fields are too.
    specversion: str = ""
    id: str = ""
    type: str = ""
    time: str = ""
    sequence: str | int = ""
    traceparent: str = ""
    datacontenttype: str = ""
    data: Raw = Raw()
    data_base64: str = ""


_decode_envelope = decoder_of(_Envelope)


def read(headers: Mapping[str, str] | None, payload: bytes) -> CloudEvent:
    """The event in a message. Raises Rejected for whatever is not a usable CloudEvent."""
    attributes = {name.lower(): value for name, value in headers.items()} if headers else {}
    content_type = attributes.get("content-type", "")
    if content_type.lower().startswith("application/cloudevents"):
        return _structured(attributes, content_type, payload)
    return _binary(attributes, payload)


def _binary(attributes: dict[str, str], payload: bytes) -> CloudEvent:
    def value(name: str) -> str:
        text = attributes.get(name, "")
        if "%" not in text:
            return text
        try:
            return unquote(text, errors="strict")
        except UnicodeDecodeError:
            raise Rejected(Reason.INVALID_ENVELOPE, f"header {name} is not percent-encoded UTF-8") from None

    if "ce-type" not in attributes and "ce-id" not in attributes:
        raise Rejected(
            Reason.NOT_A_CLOUDEVENT,
            "there are no ce-* headers, and Content-Type is not application/cloudevents+json",
        )
    event = CloudEvent(value("ce-id"), value("ce-type"), value("ce-sequence"), value("ce-time"), "", payload, "$")
    trace = attributes.get("traceparent", "")
    by = attributes.get(CAUSE, "")
    return _checked(event, value("ce-specversion"), value("ce-datacontenttype"), trace, by, "ce-")


def _structured(attributes: dict[str, str], content_type: str, payload: bytes) -> CloudEvent:
    if content_type.partition(";")[0].strip().lower() != "application/cloudevents+json":
        raise Rejected(Reason.UNSUPPORTED_CONTENT_TYPE, f"{content_type}: send application/cloudevents+json")
    envelope = _decode_envelope(payload, "$", Reason.INVALID_ENVELOPE)
    refuse_repeated_keys(payload)
    data: bytes | Raw = envelope.data
    if envelope.data_base64:
        try:
            data = b64decode(envelope.data_base64, validate=True)
        except (binascii.Error, ValueError) as error:
            raise Rejected(Reason.INVALID_ENVELOPE, f"$.data_base64: {error}") from None
    event = CloudEvent(envelope.id, envelope.type, str(envelope.sequence), envelope.time, "", data, "$.data")
    # A relay that continues a trace sets the header, so it is the younger of the two.
    trace = attributes.get("traceparent", "") or envelope.traceparent
    return _checked(event, envelope.specversion, envelope.datacontenttype, trace, attributes.get(CAUSE, ""), "")


def _checked(event: CloudEvent, specversion: str, content_type: str, trace: str, by: str, prefix: str) -> CloudEvent:
    if specversion != "1.0":
        raise Rejected(Reason.INVALID_ENVELOPE, f"{prefix}specversion is {specversion!r}, not '1.0'")
    if wrong := fault(event.id, ID_MAX):
        raise Rejected(Reason.INVALID_ENVELOPE, f"{prefix}id {wrong}")
    if not event.type:
        raise Rejected(Reason.INVALID_ENVELOPE, f"{prefix}type is empty")
    if content_type and not _JSON_TYPE.fullmatch(content_type):
        raise Rejected(Reason.UNSUPPORTED_CONTENT_TYPE, f"{prefix}datacontenttype {content_type}: send JSON")
    event.cause = cause(event.id, trace, by)
    return event


def cause(id: str, trace: str, by: str) -> str:
    """What an event's entries keep as their cause: its id, its trace, and the request that brought it."""
    if not trace and not by:
        return f"event={id}"
    request = cause_of(by) if len(by) <= _CAUSE_MAX else Cause()
    trace = trace if TRACEPARENT.fullmatch(trace) else ""
    return Cause(request.client, request.key, request.request, trace, id).text()
