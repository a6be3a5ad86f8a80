"""Causes: what led to an entry, as the one text that commands and entries carry.

Of a request its id, the prefix of the key it was made with, and its trace; of an event its id and its trace, and the
request that brought it, if one did. An audit reads it back, and the publisher continues the trace (DESIGN §7).
"""

import re
from urllib.parse import quote, unquote

from msgspec import Struct

#: A W3C trace that can be continued.
TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")

#: Words in the order in which they are written; an event's id may hold anything and comes last.
_CAUSE = re.compile(
    r"(?:client=(?P<client>\S+) ?)?(?:key=(?P<key>\S+) ?)?(?:request=(?P<request>\S+) ?)?"
    r"(?:exception=(?P<exception>\S+) ?)?(?:check=(?P<check>\S+) ?)?"
    r"(?:trace=(?P<trace>\S+) ?)?(?:event=(?P<event>.*))?",
    re.DOTALL,
)


class Cause(Struct, frozen=True, omit_defaults=True):
    """The words of a cause; "" is absent."""

    client: str = ""  # who posted the event; of other entries the client is known
    key: str = ""  # prefix of the API key
    request: str = ""  # X-Request-Id
    trace: str = ""  # traceparent
    event: str = ""  # the event's id
    exception: str = ""  # id of the exception that the request resolves
    check: str = ""  # id of the check that found it, which says who asked for it

    def text(self) -> str:
        """As commands carry it. Request ids, keys and traces hold no space; a client's name is percent-encoded."""
        words = (("client", quote(self.client, safe="")), ("key", self.key), ("request", self.request))
        words += (("exception", self.exception), ("check", self.check), ("trace", self.trace), ("event", self.event))
        return " ".join(f"{name}={value}" for name, value in words if value)


def request_cause(key: str, request: str, trace: str) -> str:
    """The cause of a request that names no more than these, without the cost of the struct: every request has one."""
    return f"key={key} request={request} trace={trace}" if trace else f"key={key} request={request}"


def cause_of(text: str) -> Cause:
    """The cause that was written so; a text of another form is the id of an event."""
    match = _CAUSE.fullmatch(text)
    if match is None:
        return Cause(event=text)
    words = {name: value for name, value in match.groupdict().items() if value}
    if "client" in words:
        words["client"] = unquote(words["client"])
    return Cause(**words)


def trace_of(text: str) -> str:
    """The trace in a cause, "" if there is none that can be continued."""
    if "trace=" not in text:  # as most are
        return ""
    trace = cause_of(text).trace
    return trace if TRACEPARENT.fullmatch(trace) else ""
