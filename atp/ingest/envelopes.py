"""Envelopes of binary events read by a pattern: a sender puts the same headers in the same order, event after event.

The first of a kind is read header by header (``cloudevents``). If all is well with it, a pattern is made of it that
lets pass only values for which reading them so could say nothing else: the names, the version of CloudEvents and the
types of content stand in it as they are, and what it takes out is ASCII without spaces and percent signs.
"""

import re
from collections.abc import Mapping

from atp.ingest import cloudevents
from atp.ingest.cloudevents import CloudEvent
from atp.natspy import PLAIN, RawHeaders

#: Kinds of envelopes known at once; those of further ones are read header by header.
KINDS_MAX = 16

#: What is taken out, by the name of its header.
_TAKEN = {
    "ce-id": f"(?P<id>[!-$&-~]{{1,{cloudevents.ID_MAX}}})",
    "ce-type": "(?P<type>[!-$&-~]+)",
    "ce-sequence": "(?P<sequence>[!-$&-~]*)",
    "ce-time": "(?P<time>[!-$&-~]*)",
    "traceparent": "(?P<trace>[!-$&-~]*)",
    cloudevents.CAUSE: "(?P<by>[!-$&-~]*)",
}
_SAME = frozenset(("ce-specversion", "ce-datacontenttype", "content-type"))
_LINE = re.compile(r"([!-9;-~]+): ([^\r\n]*)")


class Envelopes:
    """Those of one reader's messages."""

    def __init__(self) -> None:
        self._known: list[re.Pattern[str]] = []

    def read(self, headers: Mapping[str, str] | None, payload: bytes) -> CloudEvent:
        """As ``cloudevents.read``."""
        if not isinstance(headers, RawHeaders):
            return cloudevents.read(headers, payload)
        text = headers.raw.decode("latin-1")
        for pattern in self._known:
            if found := pattern.fullmatch(text):
                id, type, sequence, time, trace, by = found.group("id", "type", "sequence", "time", "trace", "by")
                return CloudEvent(id, type, sequence, time, cloudevents.cause(id, trace, by), payload, "$")
        event = cloudevents.read(headers, payload)
        if event.root == "$" and len(self._known) < KINDS_MAX and (pattern := pattern_of(text)):
            self._known.append(pattern)
        return event


def pattern_of(text: str) -> re.Pattern[str] | None:
    """A pattern of whole headers like these, of which an event was read; None if they are unusual."""
    parts, seen = [], set[str]()
    for line in text.removeprefix(PLAIN.decode()).removesuffix("\r\n\r\n").split("\r\n"):
        found = _LINE.fullmatch(line)
        if not found or (name := found[1].lower()) in seen:
            return None
        seen.add(name)
        value = re.escape(found[2]) if name in _SAME else _TAKEN.get(name, "[^\r\n]*")
        parts.append(f"{re.escape(found[1])}: {value}\r\n")
    absent = "".join(re.sub(r"\[.*", ")", taken) for name, taken in _TAKEN.items() if name not in seen)
    return re.compile(f"{re.escape(PLAIN.decode())}{''.join(parts)}\r\n{absent}")
