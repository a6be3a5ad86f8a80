"""Sender: puts messages on the stream in order, all of them, and not behind the back of a newer publisher.

The fence: each publish names the stream's last sequence. That number is read before the journal is asked whether our
claim still stands, so a publisher that slept through its successor's first message is refused by NATS (R19). Should
several partitions share the stream, they refuse one another as well; then the number is read, and the claim asked,
again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from itertools import batched
from typing import Any
from uuid import uuid4

from msgspec import json
from nats.aio.client import Client as Nats

from atp.natspy import publish_many
from atp.outbox.messages import Message
from atp.outbox.settings import Settings
from atp.outbox.stream import ensure_stream

_STALE_SEQUENCE = 10071
_ID_STORED = 10201  # an atomic batch is refused whole for one message that is there already
_BATCHES_NOT_ALLOWED = 10174

#: Attempts against other partitions' publishers before the caller's pause.
ATTEMPTS = 20


class NatsAway(Exception):
    """Not connected: nothing was sent. Without this the client would keep the message and send it at any later time."""


class PublishRefused(Exception):
    """NATS refused; ``code`` is its own number."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{text} ({code})")
        self.code = code


class Sender:
    """``check_claim`` raises when the partition is not ours any more."""

    def __init__(self, nats: Nats, settings: Settings, check_claim: Callable[[], Awaitable[None]]) -> None:
        self._nats = nats
        self._settings = settings
        self._check_claim = check_claim
        self._last: int | None = None  # the stream's last sequence; None: must be read
        self._atomic = True
        self.repeats = 0

    async def send(self, messages: Sequence[Message]) -> None:
        """Store all messages, in order; returns when NATS has acknowledged every one.

        Messages of a call that failed may be stored; the same call again stores the rest. Raises PublishRefused and
        what nats-py raises.
        """
        for chunk in batched(messages, self._settings.batch_max):
            await self._send_chunk(chunk)

    async def _send_chunk(self, messages: Sequence[Message]) -> None:
        """At once; but an answer that was lost may have left a part stored, mostly what comes first.

        Then one by one as far as that goes and the rest at once, unless there is more of it.
        """
        one_by_one = not self._atomic
        met = stale = 0  # how often some of the messages were there already, and how often others were quicker
        while messages:
            last = await self._position()
            self._last = None  # unknown until NATS has answered
            try:
                if one_by_one or len(messages) == 1:
                    taken, self._last = await self._singly(messages, last, to_first_new=met == 1)
                else:
                    taken, self._last = len(messages), await self._at_once(messages, last)
            except PublishRefused as refused:
                if refused.code in (_ID_STORED, _BATCHES_NOT_ALLOWED):
                    one_by_one = True
                    met += refused.code == _ID_STORED
                    self._atomic &= refused.code == _ID_STORED
                elif refused.code != _STALE_SEQUENCE or (stale := stale + 1) == ATTEMPTS:
                    raise
            else:
                messages, one_by_one = messages[taken:], not self._atomic

    def forget(self) -> None:
        """Ask stream and claim again before the next message."""
        self._last = None

    async def _position(self) -> int:
        if not self._nats.is_connected:
            raise NatsAway("not connected to NATS")
        if self._last is not None:
            return self._last
        info = await ensure_stream(self._nats.jetstream(timeout=self._settings.publish_s), self._settings)
        await self._check_claim()
        return info.state.last_seq

    async def _at_once(self, messages: Sequence[Message], last: int) -> int:
        """One atomic batch; by hand, for nats-py has no call for it (research/spikes.md §8)."""
        batch = uuid4().hex
        marked = [
            (
                message.subject,
                {**message.headers, "Nats-Batch-Id": batch, "Nats-Batch-Sequence": str(index)},
                message.data,
            )
            for index, message in enumerate(messages[:-1], start=1)
        ]
        marked[0][1]["Nats-Expected-Last-Sequence"] = str(last)
        await publish_many(self._nats, marked)
        final = messages[-1]
        headers = {
            **final.headers,
            "Nats-Batch-Id": batch,
            "Nats-Batch-Sequence": str(len(messages)),
            "Nats-Batch-Commit": "1",
        }
        return (await self._request(final, headers))["seq"]

    async def _singly(self, messages: Sequence[Message], last: int, *, to_first_new: bool) -> tuple[int, int]:
        """(how many are stored now, the stream's last sequence)."""
        taken = 0
        for message in messages:
            answer = await self._request(message, {**message.headers, "Nats-Expected-Last-Sequence": str(last)})
            taken += 1
            last = max(last, answer["seq"])  # of a duplicate it is the sequence of the first
            if answer.get("duplicate"):
                self.repeats += 1
            elif to_first_new:
                break
        return taken, last

    async def _request(self, message: Message, headers: dict[str, str]) -> dict[str, Any]:
        async with asyncio.timeout(self._settings.publish_s):
            reply = await self._nats.request(
                message.subject, message.data, timeout=self._settings.publish_s, headers=headers
            )
        answer: dict[str, Any] = json.decode(reply.data)
        if error := answer.get("error"):
            raise PublishRefused(error.get("err_code", 0), error.get("description", ""))
        return answer
