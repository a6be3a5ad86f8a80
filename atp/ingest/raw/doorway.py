"""Webhooks into the stream of raw messages: proven, kept byte by byte, translated later."""

import time
from collections.abc import Mapping as Headers

from nats.aio.client import Client
from nats.errors import Error as NatsError

from atp.deadletters import carried
from atp.domain.causes import Cause
from atp.domain.posted import MappingUnknown, SourceNotAllowed, StreamAway, StreamUncertain
from atp.ingest.cloudevents import CAUSE
from atp.ingest.raw.formats import Formats, Webhooks
from atp.ingest.settings import Settings
from atp.mapping import Mapping
from atp.natspy import message_size

#: Headers of the way to us; everything else may mean something to a mapping.
_OF_THE_WAY = frozenset(
    (
        "accept", "accept-encoding", "accept-language", "authorization", "connection", "content-length", "cookie",
        "expect", "forwarded", "host", "idempotency-key", "keep-alive", "proxy-authorization", "te", "trailer",
        "transfer-encoding", "upgrade", "via", "x-request-timeout-ms",
    )
)  # fmt: skip
_HEADERS_MAX = 16_384


class Doorway:
    """The door for vendors."""

    def __init__(self, nc: Client, formats: Formats, webhooks: Webhooks, settings: Settings | None = None) -> None:
        self._nc = nc
        self._settings = settings or Settings()
        self._js = nc.jetstream(timeout=self._settings.nats_timeout_s)
        self._formats = formats
        self._webhooks = webhooks

    def signs(self, mapping: str) -> bool:
        """Whether callers prove themselves by a signature; else they need a key. Raises MappingUnknown."""
        return self._webhooks.signs(self._mapping(mapping))

    def check(self, mapping: str, source: str, headers: Headers[str, str], body: bytes, url: str) -> None:
        """Whether a signed message is its vendor's. Raises MappingUnknown, SignatureWrong, SourceNotAllowed."""
        found = self._mapping(mapping)
        self._webhooks.check(found, headers, body, url, time.time())
        if not self._webhooks.may_speak(found, source):
            raise SourceNotAllowed(source)

    async def store(self, mapping: str, source: str, headers: Headers[str, str], body: bytes, cause: Cause) -> int:
        """Keep a message for its translation, with the request that brought it; its place in the stream.

        Raises MappingUnknown, ValueError for one that is too large, StreamAway, StreamUncertain.
        """
        name = self._mapping(mapping).name
        if not self._nc.is_connected:
            raise StreamAway("NATS is not connected")
        kept = {name: value for name, value in carried(headers).items() if _is_the_vendors(name.lower(), value)}
        kept[CAUSE] = cause.text()
        if message_size(kept, b"") > _HEADERS_MAX:
            raise ValueError(f"The headers may have at most {_HEADERS_MAX} bytes.")
        if message_size(kept, body) + 100 > self._nc.max_payload:
            raise ValueError(f"With its headers the message is larger than NATS takes: {self._nc.max_payload} bytes.")
        s = self._settings
        try:
            answer = await self._js.publish(
                f"{s.root}.raw.{name}.{source}", body, timeout=s.nats_timeout_s, stream=s.raw, headers=kept
            )
        except TimeoutError as error:
            raise StreamUncertain("NATS did not answer in time") from error
        except (NatsError, OSError) as error:
            raise StreamAway(f"NATS does not take it: {str(error) or type(error).__name__}") from error
        return answer.seq

    def _mapping(self, name: str) -> Mapping:
        found = self._formats.get(name)
        if found is None:
            raise MappingUnknown(name)
        return found


def _is_the_vendors(name: str, value: str) -> bool:
    return name not in _OF_THE_WAY and not name.startswith("atp-") and value.isprintable()
