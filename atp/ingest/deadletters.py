"""Messages that fail by their own content, set aside with the reason: visible, replayable, never in the way."""

import asyncio
import re
from collections.abc import Sequence

from msgspec import Struct
from nats.aio.client import Client
from nats.errors import BadHeaderError, BadSubjectError, MaxPayloadError
from nats.js import JetStreamContext

from atp.deadletters import carried
from atp.domain.identifiers import fault
from atp.ingest.messages import Message
from atp.ingest.positions import header_of
from atp.ingest.reasons import Reason
from atp.ingest.settings import Settings

_DETAIL_MAX = 1_000
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")
_HEADERS_MAX = 65_000  # the server stores up to 65,535
_ROOM = 256  # for the parts of the protocol around headers and payload
_AT_ONCE = 256  # publishes in flight


class DeadLetter(Struct):
    """A message and why it is one."""

    message: Message
    reason: Reason
    detail: str
    positions: list[tuple[str, str]] = []  # (sku, location) that it speaks of


class DeadLetters:
    """Writes dead letters; the caller moves its cursor only after ``publish`` returned."""

    def __init__(self, nc: Client, js: JetStreamContext, settings: Settings) -> None:
        self._nc = nc
        self._js = js
        self._settings = settings

    async def publish(self, letters: Sequence[DeadLetter]) -> None:
        """Write all and await the server's word for each; a repeat of one is dropped there by its id.

        Raises nats errors; some may then be written already.
        """
        for start in range(0, len(letters), _AT_ONCE):
            answers = await asyncio.gather(
                *(self._publish(letter) for letter in letters[start : start + _AT_ONCE]), return_exceptions=True
            )
            for answer in answers:
                if answer is not None:
                    raise answer

    async def _publish(self, letter: DeadLetter) -> None:
        ours = self._headers(letter)
        headers, payload = self._fit(letter.message, ours)
        try:
            await self._send(self._subject(letter.message.subject), headers, payload)
        except (BadHeaderError, BadSubjectError, MaxPayloadError):
            # The client refuses to repeat what it delivered; the message must not stop the ones behind it.
            await self._send(f"{self._settings.root}.dlq._", ours | {"atp-omitted": "headers payload"}, b"")

    async def _send(self, subject: str, headers: dict[str, str], payload: bytes) -> None:
        s = self._settings
        await self._js.publish(subject, payload, timeout=s.nats_timeout_s, stream=s.dead_letters, headers=headers)

    def _subject(self, original: str) -> str:
        tokens = original.split(".")
        at = 3 if tokens[1:2] == ["raw"] else 2
        source = tokens[at] if len(tokens) > at else ""
        usable = fault(source) is None and not re.search(r"[\s*>]", source)
        return f"{self._settings.root}.dlq.{source if usable else '_'}"

    def _headers(self, letter: DeadLetter) -> dict[str, str]:
        message = letter.message
        suspect = header_of(letter.positions)
        return ({"atp-positions": suspect} if suspect else {}) | {
            "Nats-Msg-Id": f"{self._settings.stream}:{message.sequence}",
            "atp-reason": letter.reason.value,
            "atp-detail": _CONTROL.sub(" ", letter.detail[:_DETAIL_MAX]),
            "atp-deliveries": str(message.deliveries),
            "atp-stream": self._settings.stream,
            "atp-stream-sequence": str(message.sequence),
            "atp-subject": message.subject,
        }

    def _fit(self, message: Message, ours: dict[str, str]) -> tuple[dict[str, str], bytes]:
        """Headers and payload, without what would make the message larger than the server takes.

        The original stays readable in its stream at ``atp-stream-sequence``.
        """
        room = self._nc.max_payload - _ROOM - _size(ours)
        theirs, payload, omitted = carried(message.headers or {}), message.data, []
        if _size(theirs) > min(room, _HEADERS_MAX - _size(ours)):
            theirs, omitted = {}, ["headers"]
        if _size(theirs) + len(payload) > room:
            payload = b""
            omitted.append("payload")
        return theirs | ours | ({"atp-omitted": " ".join(omitted)} if omitted else {}), payload


def _size(headers: dict[str, str]) -> int:
    return sum(len(name) + len(value.encode()) + 4 for name, value in headers.items())
