"""A guard for nats-py: one message with bytes it cannot decode ends its read loop, silently and for good.

Headers with a status line that is not text, or a subject that is not UTF-8, raise inside the client (2.16); the
connection then looks alive and hears nothing more, and because the message stays in the stream, no restart helps. With
the guard such a message arrives, and becomes a dead letter like any other.
"""

from collections.abc import Callable

from nats.aio.client import Client
from nats.aio.msg import Msg


def harden(nc: Client) -> None:
    """Make this connection survive any message; does nothing the second time."""
    if getattr(nc, "_atp_hardened", False):
        return
    nc._atp_hardened = True  # pyright: ignore[reportAttributeAccessIssue]
    read_headers, build = nc._process_headers, nc._build_message

    async def process_headers(headers: bytes) -> dict[str, str] | None:
        try:
            return await read_headers(headers)
        except Exception:
            return {}  # of no use, and so none

    nc._process_headers = process_headers
    nc._build_message = _lenient(build)


def _lenient(build: Callable[..., Msg]) -> Callable[..., Msg]:
    def build_message(sid: int, subject: bytes, reply: bytes, data: bytes, headers: dict[str, str] | None) -> Msg:
        try:
            return build(sid, subject, reply, data, headers)
        except UnicodeDecodeError:
            readable = bytes(subject).decode(errors="replace").encode()
            return build(sid, readable, reply, data, headers)

    return build_message
