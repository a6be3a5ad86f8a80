"""One JetStream message → the domain's commands: subjects and envelopes here, types in ``events``."""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from atp.domain.commands import Command
from atp.domain.identifiers import fault
from atp.ingest.envelopes import Envelopes
from atp.ingest.events import TYPES, Told
from atp.ingest.reasons import Reason, Rejected
from atp.ingest.settings import Settings


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


class Decoded(Struct):
    """What a message says."""

    type: str  # of the event
    commands: Sequence[Command]  # mostly one a line


#: Subjects whose source is remembered.
_SUBJECTS_MAX = 10_000


class Decoder:
    """Decodes the messages of one stream's shard."""

    def __init__(self, settings: Settings) -> None:
        self._key = settings.key
        self._prefix = f"{settings.root}.v1."
        self._future_us = settings.future_max_s * 1_000_000
        self._payload_max = settings.payload_max_bytes
        self._envelopes = Envelopes()
        self._sources: dict[str, str] = {}

    def source(self, subject: str) -> str:
        """The subject's token is the source; what the event itself says of it is not trusted (R34)."""
        source, _, shard = subject.removeprefix(self._prefix).partition(".")
        if not subject.startswith(self._prefix) or "." in shard:
            raise Rejected(Reason.INVALID_SUBJECT, f"not {self._prefix}<source> or {self._prefix}<source>.<shard>")
        if wrong := fault(source):
            raise Rejected(Reason.INVALID_SUBJECT, f"the source {wrong}")
        return source

    def decode(self, message: Message, now_us: int) -> Decoded:
        """The event's type and commands. Raises Rejected for the message's own faults."""
        source = self._sources.get(message.subject) or self._learn(message.subject)
        if len(message.data) > self._payload_max:
            size = len(message.data)
            raise Rejected(Reason.TOO_LARGE, f"{size} bytes; at most {self._payload_max} are read")
        event = self._envelopes.read(message.headers, message.data)
        if decode := TYPES.get(event.type):
            now_us = max(now_us, message.stored_us)
            told = Told(source, event, self._key, message.sequence, now_us, self._future_us)
            return Decoded(event.type, decode(told))
        raise Rejected(Reason.UNSUPPORTED_TYPE, f"{event.type[:128]} is not a type of the contract")

    def _learn(self, subject: str) -> str:
        source = self.source(subject)
        if len(self._sources) < _SUBJECTS_MAX:
            self._sources[subject] = source
        return source
