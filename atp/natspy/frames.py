"""What was read from the server, taken apart in one go for the subscriptions that have a ``Take``.

The client's own parser tries six patterns on a growing and shrinking buffer for each message. Here one pattern reads
frame after frame of what came; all else — other subscriptions, states, pings, a message of which the rest is still to
come — is handed to the client's parser, in pieces after which it is this one's turn again.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache

from nats.aio.client import Client
from nats.protocol.parser import AWAITING_CONTROL_LINE, AWAITING_MSG_PAYLOAD, Parser

type Headers = Mapping[str, str] | None

#: Takes a message: subject, reply, data, headers. It must not raise.
type Take = Callable[[str, str, bytes, Headers], None]

#: How headers without a status begin.
PLAIN = b"NATS/1.0\r\n"

#: A message with headers and a reply: subject, subscription, reply, bytes of headers, bytes in all.
_FRAME = re.compile(rb"HMSG (\S+) (\d+) (\S+) (\d+) (\d+)\r\n")

#: What the client's parser of headers strips.
_SPACE = " \t\n\r\x0b\x0c"


class RawHeaders(Mapping[str, str]):
    """Headers as they came; most readers need a few of them, or none."""

    __slots__ = ("_parsed", "raw")

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self._parsed: dict[str, str] | None = None

    def parsed(self) -> dict[str, str]:
        """All of them."""
        if self._parsed is None:
            self._parsed = parse_header_lines(self.raw[len(PLAIN) :])
        return self._parsed

    def __getitem__(self, name: str) -> str:
        return self.parsed()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.parsed())

    def __len__(self) -> int:
        return len(self.parsed())


def read_by_frames(nc: Client) -> dict[int, Take]:
    """Let the connection's parser be a ``Frames``; who takes what, by the id of a subscription."""
    parser = nc._ps
    parser.__class__ = Frames  # and not another object: it may be in the middle of a message
    assert isinstance(parser, Frames)
    parser.direct, parser._rest = {}, b""
    return parser.direct


class Frames(Parser):
    """The client's parser, behind one that serves those in ``direct``."""

    direct: dict[int, Take]
    _rest: bytes  # came, and is not handed on

    def reset(self) -> None:
        super().reset()
        self._rest = b""

    async def parse(self, data: bytes = b"") -> None:
        """Everything that is complete; the rest waits for more."""
        self._rest = self._rest + data if self._rest else data
        if self.state == AWAITING_CONTROL_LINE and self.buf:  # begun before this parser was here
            self._rest, self.buf = bytes(self.buf) + self._rest, bytearray()
        while size := self._next():
            piece, self._rest = self._rest[:size], self._rest[size:]
            await super().parse(piece)

    def _next(self) -> int:
        """Take the messages in front; then how many bytes are the client's parser's: a payload's rest, or one line."""
        if self.state == AWAITING_MSG_PAYLOAD:
            return min(len(self._rest), self.needed + 2 - len(self.buf))
        if self.direct:
            self._rest = self._rest[self._take(self._rest) :]
        end = self._rest.find(b"\r\n")
        return end + 2 if end >= 0 else 0

    def _take(self, text: bytes) -> int:
        """Where the first frame begins that is not taken here."""
        at = 0
        while frame := _FRAME.match(text, at):
            subject, sid, reply, head, size = frame.groups()
            begin, take = frame.end(), self._find(int(sid))
            body, end = begin + int(head), begin + int(size)
            if take is None or len(text) < end + 2 or not text.startswith(PLAIN, begin):
                break
            take(readable(subject), readable(reply), text[body:end], RawHeaders(text[begin:body]))
            at = end + 2
        return at

    def _find(self, sid: int) -> Take | None:
        if (
            self.nc is None or sid not in self.nc._subs
        ):  # unsubscribed; what is still under way is dropped by the client
            self.direct.pop(sid, None)
        return self.direct.get(sid)


def parse_header_lines(raw: bytes) -> dict[str, str]:
    """The same dict as the client's own parser gives, which looks at each character of each name: names repeat."""
    headers: dict[str, str] = {}
    for line in raw.decode("utf-8", "replace").split("\r\n"):
        name, colon, value = line.partition(":")
        if colon and (key := _name(name)) is not None:
            headers[key] = value.strip(_SPACE)
    return headers


def readable(raw: bytes) -> str:
    """A subject is mostly text, but a sender may have another opinion."""
    return raw.decode(errors="replace")


@lru_cache(1024)
def _name(name: str) -> str | None:
    key = name.strip(_SPACE)
    return key if key.isascii() and not any(c.isspace() for c in key) else None
