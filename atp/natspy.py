"""Two repairs of nats-py 2.16, made on one connection.

One message with bytes that the client cannot decode ends its read loop, silently and for good: headers with a status
line that is not text, or a subject that is not UTF-8. The connection then looks alive and hears nothing more, and
because the message stays in the stream, no restart helps. Repaired, it arrives, and becomes a dead letter.

And its header parser looks at each character of each name, which with the eight headers of a CloudEvent is most of the
work of receiving it. Names repeat, so ours looks once at each.

``message_size`` is for those who send what others made, since the client does not count headers.
"""

from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache

from nats.aio.client import Client
from nats.aio.msg import Msg

type Headers = dict[str, str] | None


def repair(nc: Client) -> None:
    """Repair this connection; does nothing the second time."""
    if getattr(nc, "_atp_repaired", False):
        return
    nc._atp_repaired = True  # pyright: ignore[reportAttributeAccessIssue]
    nc._parse_header_lines = parse_header_lines
    nc._process_headers = _never_raising(nc._process_headers)  # pyright: ignore[reportAttributeAccessIssue]
    nc._build_message = _lenient(nc._build_message)


def parse_header_lines(raw: bytes) -> dict[str, str]:
    """The same dict as the client's own parser gives."""
    headers: dict[str, str] = {}
    for line in raw.split(b"\r\n"):
        name, colon, value = line.partition(b":")
        if colon and (key := _name(name)) is not None:
            headers[key] = value.strip().decode("utf-8", "replace")
    return headers


def message_size(headers: Mapping[str, str], payload: bytes) -> int:
    """Bytes that count against the server's ``max_payload``; the client checks the payload alone.

    A server that is sent more closes the connection.
    """
    return len(payload) + 12 + sum(len(name.encode()) + len(value.encode()) + 4 for name, value in headers.items())


@lru_cache(1024)
def _name(name: bytes) -> str | None:
    try:
        key = name.strip().decode("ascii")
    except UnicodeDecodeError:
        return None
    return None if any(c.isspace() for c in key) else key


def _never_raising(read: Callable[[bytes], Awaitable[Headers]]) -> Callable[[bytes], Awaitable[Headers]]:
    async def process_headers(headers: bytes) -> Headers:
        try:
            return await read(headers)
        except Exception:
            return {}  # of no use, and so none

    return process_headers


def _lenient(build: Callable[..., Msg]) -> Callable[..., Msg]:
    def build_message(sid: int, subject: bytes, reply: bytes, data: bytes, headers: Headers) -> Msg:
        try:
            return build(sid, subject, reply, data, headers)
        except UnicodeDecodeError:
            readable = bytes(subject).decode(errors="replace").encode()
            return build(sid, readable, reply, data, headers)

    return build_message
