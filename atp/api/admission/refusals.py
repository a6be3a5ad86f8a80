"""Refusals: the answer to a request that is not begun, made of parts that are ready (≤ 0.1 ms)."""

import random
from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any

from msgspec import json

from atp.api.problems import MEDIA_TYPE, TYPE_PREFIX, Kind
from atp.telemetry import PROBLEMS, series

#: Bounds of Retry-After in seconds, before the spread (research/reliability.md §4).
RETRY_MIN_S, RETRY_MAX_S = 1.0, 30.0
_SPREAD = 0.25

_DETAILS = {
    "overloaded": "Nothing was applied. Repeat with the same Idempotency-Key after Retry-After seconds.",
    "deadline-too-short": "Nothing was applied: the answer could not have come in time.",
}
_DETAIL = "Nothing was applied. Repeat with the same Idempotency-Key."

_encode = json.Encoder().encode


def spread(seconds: float) -> int:
    """``seconds`` for Retry-After: within its bounds, ± a quarter so that those refused together do not come together.

    The header has whole seconds, so the rest is a chance of one more.
    """
    bounded = min(RETRY_MAX_S, max(RETRY_MIN_S, seconds))
    drawn = bounded * random.uniform(1 - _SPREAD, 1 + _SPREAD)  # noqa: S311
    return max(int(RETRY_MIN_S), int(drawn + random.random()))  # noqa: S311


async def refuse(
    kind: Kind, send: Callable[[Any], Awaitable[None]], headers: tuple[tuple[bytes, bytes], ...], id: str, after: float
) -> int:
    """Answer with the problem ``kind``, to come back ``after`` seconds; ``headers`` go on every answer."""
    body = _head(kind) + _encode(id) + b"}"
    await send({
        "type": "http.response.start",
        "status": kind.status,
        "headers": [
            (b"content-type", MEDIA_TYPE.encode()),
            (b"content-length", b"%d" % len(body)),
            (b"retry-after", b"%d" % spread(after)),
            (b"x-request-id", id.encode()),
            *headers,
        ],
    })  # fmt: skip
    await send({"type": "http.response.body", "body": body})
    series(PROBLEMS, kind.code).inc()
    return kind.status


@cache
def _head(kind: Kind) -> bytes:
    """The body up to the request's id, which comes last, so that all before it is ready."""
    fields = {
        "type": TYPE_PREFIX + kind.code, "title": kind.title, "status": kind.status,
        "detail": _DETAILS.get(kind.code, _DETAIL),
    }  # fmt: skip
    return _encode(fields)[:-1] + b',"request_id":'
