"""Heads: what the head of every answer says beside what is the answer's own."""

import secrets
from collections.abc import Awaitable, Callable, Container
from itertools import count
from typing import Any

from atp.api.stopping import closing

Head = list[tuple[bytes, bytes]]

#: On every answer; a route's own header of the same name wins.
SECURITY_HEADERS = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
)
_SECURITY_NAMES = tuple(name.decode() for name, _ in SECURITY_HEADERS)

#: Request ids of this process: its own random part and a number, in the form of a trace's id.
request_ids = map((secrets.token_hex(10) + "%012x").__mod__, count())


#: Has no end, so nobody can be told the head of its answer alone.
_ENDLESS = b"/v1/availability/stream"

Send = Callable[[Any], Awaitable[None]]


def answered_as_get(method: str, path: bytes) -> bool:
    """Whether this is a HEAD that is answered like GET, but for the body (RFC 9110 §9.3.2)."""
    return method == "HEAD" and path != _ENDLESS


def bodiless(send: Send) -> Send:
    """``send`` without the body; what the head says of it stays, its length too."""

    async def sending(message: Any) -> None:
        if message["type"] == "http.response.body":
            if message.get("more_body"):
                return
            message = {"type": "http.response.body", "body": b""}
        await send(message)

    return sending


def allowing(headers: Head, path: bytes) -> Head:
    """``headers`` in which Allow names HEAD beside GET: the framework does not know that it is answered."""
    if path == _ENDLESS:
        return headers
    return [(name, b"%b, HEAD" % value if name == b"allow" and b"GET" in value else value) for name, value in headers]


def secured(headers: Head, own: Container[str]) -> Head:
    """``headers`` with those that every answer has, but for its ``own``."""
    if own:
        pairs = zip(_SECURITY_NAMES, SECURITY_HEADERS, strict=True)
        headers += [header for name, header in pairs if name not in own]
    else:  # as most have none: nothing of it is among ours
        headers += SECURITY_HEADERS
    return headers


def signed(headers: Head, own: Container[str], state: dict[str, Any]) -> Head:
    """The same, with the request's id, and for those who keep their connection whether it ends."""
    headers = secured(headers, own)
    headers.append((b"x-request-id", state["request_id"].encode()))
    return closing(headers, state)
