"""What a dead letter looks like: the original message, and why it is one in headers of ours."""

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Annotated

from msgspec import UNSET, DecodeError, Meta, Struct, UnsetType, json

from atp.domain.times import rfc3339

_decode_positions = json.Decoder(list[tuple[str, str]]).decode

#: Bytes of a payload that are shown; all of it is in the stream.
SHOWN_MAX = 65_536

_NAME = re.compile(r"[A-Za-z0-9_.-]+")  # of a header that any client sends again
_STATUS = ("Status", "Description")  # nats-py's names for a status line, not headers
_OURS = frozenset(
    "atp-" + name
    for name in "reason detail deliveries stream stream-sequence subject omitted positions".split()  # noqa: SIM905
)


def carried(headers: Mapping[str, str]) -> dict[str, str]:
    """Those that travel on: not ours, nor any that would order the server about (batch, fence, expiry, id)."""
    return {
        name: value
        for name, value in headers.items()
        if _NAME.fullmatch(name)
        and not (lower := name.lower()).startswith("nats-")
        and lower not in _OURS
        and name not in _STATUS
    }


#: Header of a vendor's message that is sent again: when it came first, µs. Some have no other version.
RECEIVED = "atp-received"


class Letter(Struct):
    """A message that was set aside. ``payload`` None says that it was not asked for."""

    id: int  # its sequence in the stream of dead letters
    source: str  # "_" where the subject named none
    reason: str
    detail: str  # where in the payload, and what
    subject: str  # it came by
    stream: str
    sequence: int  # in that stream; 0 is not known
    deliveries: int
    dead_at: int  # ms
    size: int  # bytes of the payload as it is kept here
    headers: dict[str, str]  # the original's
    omitted: list[str]  # "headers", "payload": too large to be repeated, still in its own stream
    payload: bytes | None = None
    positions: list[tuple[str, str]] = []  # (sku, location) that it speaks of


class Chosen(Struct, frozen=True):
    """Which letters are meant; "" and None mean all."""

    source: str = ""
    reason: str = ""
    before: int | None = None  # ms: those set aside earlier

    def has(self, letter: Letter) -> bool:
        """Whether this letter is meant. The source is left to the server."""
        return self.reason in ("", letter.reason) and (self.before is None or letter.dead_at < self.before)


def read(
    id: int, subject: str, headers: Mapping[str, str], dead_at: int, payload: bytes | None, streams: Sequence[str]
) -> Letter:
    """The letter in a stored message. It came from one of ``streams``, the first unless it says otherwise."""
    said = {name.lower(): value for name, value in headers.items()}
    named = said.get("atp-stream", "")
    size = len(payload) if payload is not None else _number(said.get("nats-msg-size", ""))
    return Letter(
        id, subject.split(".")[-1], said.get("atp-reason", ""), said.get("atp-detail", ""), said.get("atp-subject", ""),
        named if named in streams else streams[0], _number(said.get("atp-stream-sequence", "")),
        _number(said.get("atp-deliveries", "")), dead_at, size, carried(headers), said.get("atp-omitted", "").split(),
        payload, _positions(said.get("atp-positions", "")),
    )  # fmt: skip


def _positions(text: str) -> list[tuple[str, str]]:
    try:
        return _decode_positions(text) if text else []
    except DecodeError:
        return []


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else 0


# -- as people see them -----------------------------------------------------------------------------------------------


class LetterView(Struct, omit_defaults=True):
    """A message that was set aside, and why."""

    id: Annotated[str, Meta(description="Its place in the stream of dead letters.")]
    source: Annotated[str, Meta(description="The source by its subject; `_` where that names none.")]
    reason: Annotated[str, Meta(description="One of a closed set, such as `unknown-location`.")]
    detail: Annotated[str, Meta(description="Where in the payload, and what.")]
    dead_at: Annotated[str, Meta(description="When it was set aside.")]
    subject: Annotated[str, Meta(description="The subject it came by.")]
    stream: Annotated[str, Meta(description="The stream it came by.")]
    stream_sequence: Annotated[int, Meta(description="Its sequence there.")]
    deliveries: Annotated[int, Meta(description="How often it had been delivered by then.")]
    size: Annotated[int, Meta(description="Bytes of its payload.")]
    event_id: Annotated[str | UnsetType, Meta(description="The event's own id, where a header has it.")] = UNSET
    event_type: Annotated[str | UnsetType, Meta(description="The event's type, where a header has it.")] = UNSET
    traceparent: Annotated[str | UnsetType, Meta(description="The trace it belongs to.")] = UNSET
    omitted: Annotated[
        list[str] | UnsetType, Meta(description="Parts too large to be kept here; they are in its own stream.")
    ] = UNSET


class WholeLetterView(LetterView, omit_defaults=True, kw_only=True):
    """A dead letter with the original's headers and payload."""

    headers: Annotated[dict[str, str], Meta(description="The original's, but for orders to the server.")]
    payload: Annotated[str | UnsetType, Meta(description="The payload if it is text.")] = UNSET
    payload_base64: Annotated[str | UnsetType, Meta(description="The payload if it is not.")] = UNSET
    payload_truncated: Annotated[bool, Meta(description=f"Only the first {SHOWN_MAX} bytes are shown.")] = False


def view(letter: Letter) -> LetterView:
    """A letter in a list."""
    return LetterView(**_shown(letter))


def whole_view(letter: Letter) -> WholeLetterView:
    """A letter alone. A payload that neither the letter nor its stream has is left out."""
    shown = WholeLetterView(**_shown(letter), headers=letter.headers)
    if letter.payload is not None:
        cut = letter.payload[:SHOWN_MAX]
        shown.payload_truncated = len(cut) < len(letter.payload)
        try:
            text = cut.decode(errors="strict" if not shown.payload_truncated else "ignore")
            letter.payload.decode()
        except UnicodeDecodeError:
            shown.payload_base64 = b64encode(cut).decode()
        else:
            shown.payload = text
    return shown


def _shown(letter: Letter) -> dict:
    said = {name.lower(): value for name, value in letter.headers.items()}
    return {
        "id": str(letter.id),
        "source": letter.source,
        "reason": letter.reason,
        "detail": letter.detail,
        "dead_at": rfc3339(letter.dead_at),
        "subject": letter.subject,
        "stream": letter.stream,
        "stream_sequence": letter.sequence,
        "deliveries": letter.deliveries,
        "size": letter.size,
        "event_id": said.get("ce-id") or UNSET,
        "event_type": said.get("ce-type") or UNSET,
        "traceparent": said.get("traceparent") or UNSET,
        "omitted": letter.omitted or UNSET,
    }
