"""A mapping, ready to read messages of one vendor: bytes and headers in, canonical events or one refusal out."""

from collections.abc import Iterator
from collections.abc import Mapping as Headers
from itertools import islice

from msgspec import Struct, field

from atp.domain.identifiers import fault
from atp.mapping import clocks, documents, signatures
from atp.mapping.canonical import Found, Mapped, count, gather
from atp.mapping.conditions import Check
from atp.mapping.lookups import LookupTable, Skipped
from atp.mapping.reasons import Refusal, Refused, shown, wrong
from atp.mapping.rules import Rule
from atp.mapping.scopes import Reading, Scope
from atp.mapping.spec import Spec
from atp.mapping.versions import Stamp

#: Bytes of one message.
BODY_MAX = 8 << 20

#: Rows of one message, of all rules together.
ROWS_MAX = 100_000


class Message(Struct):
    """What a vendor sent, or one line of a file. ``given`` is the version from outside, for those without their own."""

    body: bytes
    headers: Headers[str, str] = field(default_factory=dict)
    given: Stamp | None = None
    received: str = ""  # RFC 3339

    @classmethod
    def at(cls, body: bytes, headers: Headers[str, str], received_us: int) -> "Message":
        """A message that arrived at a time in µs since 1970, which is its version if it has no other."""
        text = clocks.rfc3339(clocks.since_epoch(received_us))
        return cls(body, headers, Stamp(time=text), text)


class Mapping:
    """Compiled from a Spec by ``load``; keeps nothing between messages."""

    def __init__(self, name: str, spec: Spec, tables: dict[str, LookupTable]) -> None:
        self.name = name
        self.spec = spec
        self._accept = [Check(one, f"accept[{n}]", tables) for n, one in enumerate(spec.accept)]
        self._rules = [Rule(one, spec, f"events[{n}]", tables) for n, one in enumerate(spec.events)]
        if spec.snapshot and not all(rule.kind == "level" and rule.given for rule in self._rules):
            wrong(
                "snapshot", 'holds levels of one moment: every rule needs kind = "level" and version = { given = true }'
            )
        if spec.signature:
            signatures.check(spec.signature)

    @property
    def needs_version(self) -> bool:
        """Whether the version comes from outside."""
        return any(rule.given for rule in self._rules)

    def apply(self, message: Message, source: str) -> Mapped:
        """The events of a whole message. Raises Refused, and then nothing of it may be used."""
        if len(message.body) > BODY_MAX:
            raise Refused(Refusal.TOO_LARGE, f"{len(message.body)} bytes; at most {BODY_MAX} are read")
        reading = self._reading(message)
        mapped = Mapped([])
        found: list[Found] = []
        for line, document in self._documents(reading):
            try:
                found += self._read(Scope(document, None, (), None, reading), message.given, mapped.skipped)
            except Refused as refused:
                if not line:
                    raise
                raise Refused(refused.reason, f"line {line}: {refused.detail}") from None
            _bound(len(found))
        mapped.events = gather(_source(source), found)
        return mapped

    def apply_document(self, document: object, message: Message, source: str) -> Mapped:
        """The events of one line of a file that was decoded already; ``message.body`` is that line."""
        mapped = Mapped([])
        scope = Scope(document, None, (), None, self._reading(message))
        mapped.events = gather(_source(source), self._read(scope, message.given, mapped.skipped))
        return mapped

    def _reading(self, message: Message) -> Reading:
        return Reading(message.headers, message.body, message.received, self.spec.ignore_case)

    def _documents(self, reading: Reading) -> Iterator[tuple[int, object]]:
        match self._format(reading):
            case "ndjson":
                yield from documents.lines(reading.body)
            case "csv":
                yield from documents.rows(reading.body, self.spec.csv)
            case _:
                yield 0, documents.document(reading.body)

    def _format(self, reading: Reading) -> str:
        if self.spec.format != "any":
            return self.spec.format
        type = reading.headers.get("content-type", "").partition(";")[0].strip().lower()
        return {"text/csv": "csv", "application/x-ndjson": "ndjson", "application/jsonl": "ndjson"}.get(type, "json")

    def _read(self, scope: Scope, given: Stamp | None, skipped: dict[str, int]) -> list[Found]:
        """The lines of one document."""
        try:
            for check in self._accept:
                check.test(scope, refuse=True)
        except Skipped as skip:  # a lookup table said so
            count(skipped, skip.reason)
            return []
        found: list[Found] = []
        for rule in self._rules:
            rows = 0
            for row in islice(rule.rows(scope), ROWS_MAX + 1):
                _bound(rows := rows + 1)
                try:
                    found.append(rule.read(row, given))
                except Skipped as skip:
                    count(skipped, skip.reason)
        return found


def _bound(rows: int) -> None:
    if rows > ROWS_MAX:
        raise Refused(Refusal.TOO_LARGE, f"more than {ROWS_MAX} rows in one message")


def _source(source: str) -> str:
    if problem := fault(source):
        raise Refused(Refusal.INVALID_IDENTIFIER, f"the source {shown(source)} {problem}")
    return source
