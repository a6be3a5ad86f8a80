"""Publishing many messages at once, in order: all of them stored, or none, and those that the stream has only once.

With a server that syncs each message to disk, atomic batches are about twenty times faster than single publishes
(research/spikes.md §8).
"""

import asyncio
import secrets
from collections.abc import Sequence

from msgspec import Struct, json
from nats.aio.client import Client
from nats.js import JetStreamContext

#: The server's limit for one atomic batch.
BATCH_MAX = 1_000

_DUPLICATE_IN_BATCH = 10201  # one id is stored already: the server refuses the whole batch
_SINGLY_AT_ONCE = 256


class FeedRefused(Exception):
    """The server did not take a batch; nothing of it is stored."""


class FeedUncertain(TimeoutError):
    """No answer came: the messages may be stored or not. Sending the same ones again is safe, as their ids are."""


class Outgoing(Struct):
    """One message; its header ``Nats-Msg-Id`` is the server's own duplicate check."""

    subject: str
    headers: dict[str, str]
    data: bytes


async def publish_batch(nc: Client, js: JetStreamContext, messages: Sequence[Outgoing], timeout_s: float) -> int:
    """Store up to ``BATCH_MAX`` messages in order; the last stream sequence. What the server has stays as it is.

    Raises FeedRefused and nats errors when nothing is stored, FeedUncertain when nobody knows.
    """
    batch = secrets.token_hex(16)
    for number, message in enumerate(messages[:-1], 1):
        part = {"Nats-Batch-Id": batch, "Nats-Batch-Sequence": str(number)}
        await nc.publish(message.subject, message.data, headers=message.headers | part)
    last = messages[-1]
    commit = {"Nats-Batch-Id": batch, "Nats-Batch-Sequence": str(len(messages)), "Nats-Batch-Commit": "1"}
    try:
        reply = await nc.request(last.subject, last.data, timeout=timeout_s, headers=last.headers | commit)
    except TimeoutError as error:
        raise FeedUncertain("NATS did not answer in time") from error
    answer = json.decode(reply.data, type=_Answer)
    if answer.error is None:
        return answer.seq
    if answer.error.err_code == _DUPLICATE_IN_BATCH:
        try:
            return await _singly(js, messages, timeout_s)
        except Exception as error:
            raise FeedUncertain(f"NATS failed in the middle: {str(error) or type(error).__name__}") from error
    raise FeedRefused(f"{answer.error.description} ({answer.error.err_code})")


async def _singly(js: JetStreamContext, messages: Sequence[Outgoing], timeout_s: float) -> int:
    """One by one, so that the server drops what it has. Sent in order on one connection, so stored in order."""
    last = 0
    for start in range(0, len(messages), _SINGLY_AT_ONCE):
        answers = await asyncio.gather(
            *(
                js.publish(message.subject, message.data, timeout=timeout_s, headers=message.headers)
                for message in messages[start : start + _SINGLY_AT_ONCE]
            )
        )
        last = max(last, *(answer.seq for answer in answers))
    return last


class _Failure(Struct):
    err_code: int = 0
    description: str = ""


class _Answer(Struct):
    seq: int = 0
    error: _Failure | None = None
