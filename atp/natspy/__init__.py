"""Repairs of nats-py 2.16, made on one connection.

One message with bytes that the client cannot decode ends its read loop, silently and for good: headers with a status
line that is not text, or a subject that is not UTF-8. The connection then looks alive and hears nothing more, and
because the message stays in the stream, no restart helps. Repaired, it arrives, and becomes a dead letter.

Its parsers of frames and headers, and its queue and task for each subscription, are most of the work of receiving a
CloudEvent; ``deliver`` goes without them (``frames``).

It also lets those who wait for an answer wait on when the connection is lost, with which the answer went, and that may
be for seconds after the server is back; and those who wait for messages are not told. ``tell_lost`` tells both.

``publish_many`` sends many messages with one write: the client's own call looks at every header three times, which was
half of what telling of an entry cost.

``message_size`` is for those who send what others made, since the client does not count headers.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import ConnectionClosedError, MaxPayloadError, OutboundBufferLimitError, TimeoutError

from atp.natspy.frames import PLAIN, Headers, RawHeaders, Take, parse_header_lines, read_by_frames, readable

__all__ = [
    "PLAIN",
    "Headers",
    "RawHeaders",
    "Take",
    "deliver",
    "message_size",
    "parse_header_lines",
    "publish_many",
    "repair",
    "tell_lost",
    "when_lost",
]


def repair(nc: Client) -> None:
    """Repair this connection; does nothing the second time."""
    if getattr(nc, "_atp_repaired", False):
        return
    nc._atp_repaired = True  # pyright: ignore[reportAttributeAccessIssue]
    nc._parse_header_lines = parse_header_lines
    nc._process_headers = _never_raising(nc._process_headers)  # pyright: ignore[reportAttributeAccessIssue]
    nc._build_message = _lenient(nc._build_message)
    nc._process_msg = _directly(nc, read_by_frames(nc), nc._process_msg)  # pyright: ignore[reportAttributeAccessIssue]


def when_lost(nc: Client, call: Callable[[], None]) -> Callable[[], None]:
    """Have ``call`` called whenever the connection is lost, until the function that this gives is called."""
    calls = _calls_when_lost(nc)
    calls.append(call)
    return lambda: calls.remove(call)


def tell_lost(nc: Client) -> None:
    """Let all who wait for an answer have their TimeoutError now, and tell the others; call it when it was lost."""
    for call in list(_calls_when_lost(nc)):
        call()
    for future in list(nc._resp_map.values()):
        if not future.done():
            future.set_exception(TimeoutError())
            future.exception()  # who asks may have failed already, and nobody may look


def deliver(nc: Client, subscription: Subscription, take: Take) -> None:
    """Hand what this subscription gets to ``take`` as it is read, without the client's queue and task per subscription.

    For who asks for so many messages and no more: nothing else limits them. ``take`` must not raise.
    """
    repair(nc)
    nc._ps.direct[subscription._id] = take  # pyright: ignore[reportAttributeAccessIssue]


async def publish_many(nc: Client, messages: Iterable[tuple[str, Mapping[str, str], bytes]]) -> None:
    """Send (subject, headers, data) in this order; nothing is sent if the client refuses one.

    Subjects and headers go out as they are, so texts from outside must be encoded. Raises as ``Client.publish``.
    """
    if nc.is_closed:
        raise ConnectionClosedError
    if not nc.is_connected:
        raise OutboundBufferLimitError
    frames = [_frame(subject, headers, data, nc.max_payload) for subject, headers, data in messages]
    await nc._send_command(b"".join(frames))
    await nc._flush_pending()


def _frame(subject: str, headers: Mapping[str, str], data: bytes, most: int) -> bytes:
    """One message as the protocol writes it (HPUB)."""
    head = f"NATS/1.0\r\n{''.join([f'{name}: {value}\r\n' for name, value in headers.items()])}\r\n".encode()
    if len(head) + len(data) > most:
        raise MaxPayloadError
    return b"HPUB %b %d %d\r\n%b%b\r\n" % (subject.encode(), len(head), len(head) + len(data), head, data)


def message_size(headers: Mapping[str, str], payload: bytes) -> int:
    """Bytes that count against the server's ``max_payload``; the client checks the payload alone.

    A server that is sent more closes the connection.
    """
    return len(payload) + 12 + sum(len(name.encode()) + len(value.encode()) + 4 for name, value in headers.items())


def _calls_when_lost(nc: Client) -> list[Callable[[], None]]:
    if not hasattr(nc, "_atp_when_lost"):
        nc._atp_when_lost = []  # pyright: ignore[reportAttributeAccessIssue]
    return nc._atp_when_lost  # pyright: ignore[reportAttributeAccessIssue]


def _directly(nc: Client, direct: dict[int, Take], process: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable]:
    """Messages of those subscriptions that have a ``Take``, as far as the client's parser reads them."""

    async def process_msg(sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes) -> None:
        if (take := direct.get(sid)) is None or sid not in nc._subs:
            await process(sid, subject, reply, data, headers)
        elif headers and headers.startswith(PLAIN):
            take(readable(subject), readable(reply), data, RawHeaders(headers))
        else:
            take(readable(subject), readable(reply), data, await nc._process_headers(headers))

    return process_msg


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
            return build(sid, readable(subject).encode(), reply, data, headers)

    return build_message
