"""A pull consumer that delivers strictly in order, several times faster than ``fetch`` (research/spikes.md §8).

Two pull requests are kept outstanding into one inbox. Whatever could break the order or the flow (a gap, a lost
connection, a deleted consumer, silence) raises Interrupted; the caller then opens another Pull behind the ledger's
cursor. Nothing depends on acknowledgements: they only let operators see how far the consumer is.
"""

from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from time import monotonic

from msgspec import json
from nats.aio.client import Client
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError

from atp.ingest.messages import Message
from atp.ingest.settings import Settings
from atp.ingest.waiting import Signal
from atp.natspy import Headers, deliver, when_lost

_SILENT_HEARTBEATS = 3

#: A request ended because it had its messages or its bytes; any other 409 ends the consumer or our place in it.
_REQUEST_ENDED = ("Batch Completed", "Message Size Exceeds")
_LOST = "the connection to NATS was lost"
_NANOS = 1_000_000_000


class Interrupted(Exception):
    """The flow of messages can no longer be trusted to be complete and in order; start again at the cursor."""


class Pull:
    """Messages of one stream behind a position, buffered: at most two requests' worth."""

    def __init__(self, nc: Client, js: JetStreamContext, settings: Settings) -> None:
        self._nc = nc
        self._js = js
        self._settings = settings
        self._next = f"$JS.API.CONSUMER.MSG.NEXT.{settings.stream}.{settings.consumer}"
        self._buffer: deque[Message] = deque()
        self._wanted = 0  # asked for and not yet delivered
        self._number = 0  # of the last delivery, counted by the server
        self._last = 0  # highest stream sequence delivered
        self._heard = 0.0
        self._reconnects = 0
        self._broken = ""
        self._inbox = ""
        self._subscription: Subscription | None = None
        self._forget: Callable[[], None] | None = None
        self._signal = Signal()

    async def open(self, after: int) -> None:
        """Make the durable consumer anew, so that it delivers what follows stream sequence ``after``."""
        try:
            await self._open(after)
        except BaseException:
            await self.close()
            raise
        self._forget = when_lost(self._nc, lambda: self.interrupt(_LOST))  # else it is noticed after a heartbeat
        self._last = after

    async def _open(self, after: int) -> None:
        stream, name = self._settings.stream, self._settings.consumer
        self._reconnects = self._nc.stats["reconnects"]
        with suppress(NotFoundError):
            await self._js.delete_consumer(stream, name)
        self._inbox = self._nc.new_inbox()
        self._subscription = await self._nc.subscribe(self._inbox)
        deliver(self._nc, self._subscription, self._take)
        await self._js.add_consumer(
            stream,
            ConsumerConfig(
                durable_name=name,
                description="atp's reader; made anew behind the ledger's cursor at every start",
                deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
                opt_start_seq=after + 1,
                ack_policy=AckPolicy.ALL,
                ack_wait=self._settings.ack_wait_s,
                max_ack_pending=self._settings.batch_messages * 8,  # more than is ever buffered and in hand
                max_waiting=8,
            ),
        )

    async def close(self) -> None:
        """Let go of the inbox; the durable consumer stays, for people to see."""
        if self._forget is not None:
            self._forget()
            self._forget = None
        if self._subscription is not None:
            subscription, self._subscription = self._subscription, None
            with suppress(NatsError):  # when the connection is gone, the inbox is too
                await subscription.unsubscribe()

    def wake(self) -> None:
        """End a ``wait`` early."""
        self._signal.set()

    def interrupt(self, why: str) -> None:
        """Make ``wait`` raise as soon as what is buffered is used up."""
        self._broken = self._broken or why
        self._signal.set()

    def pop(self) -> Message | None:
        """The next message, or None if none is here."""
        return self._buffer.popleft() if self._buffer else None

    async def wait(self, timeout_s: float) -> bool:
        """Whether a message is here within ``timeout_s``, or sooner after ``wake``. Raises Interrupted."""
        await self.request()
        if not self._buffer:
            self._check()
            await self._signal.wait(min(timeout_s, self._settings.heartbeat_s))
            await self.request()
        return bool(self._buffer)

    async def request(self) -> None:
        """Ask for more while less than a batch is buffered or on its way."""
        s = self._settings
        while not self._broken and len(self._buffer) + self._wanted <= s.batch_messages:
            ask = {
                "batch": s.batch_messages,
                "max_bytes": max(s.request_max_bytes, 2 * self._nc.max_payload),
                "expires": int(s.request_s * _NANOS),
                "idle_heartbeat": int(s.heartbeat_s * _NANOS),
            }
            if not self._wanted:
                self._heard = monotonic()
            self._wanted += s.batch_messages
            await self._nc.publish(self._next, json.encode(ask), reply=self._inbox)

    async def acknowledge(self, message: Message) -> None:
        """Tell the server that everything up to this message is done."""
        await self._nc.publish(message.reply, b"+ACK")

    def _check(self) -> None:
        if not self._nc.is_connected or self._nc.stats["reconnects"] != self._reconnects:
            self.interrupt(_LOST)
        elif self._wanted and monotonic() - self._heard > _SILENT_HEARTBEATS * self._settings.heartbeat_s:
            self.interrupt(f"nothing heard from NATS for {_SILENT_HEARTBEATS} heartbeats")
        if self._broken:
            raise Interrupted(self._broken)

    def _take(self, subject: str, reply: str, data: bytes, headers: Headers) -> None:
        self._heard = monotonic()
        if not reply.startswith("$JS.ACK."):  # a sender can imitate a status line, but not a missing reply
            self._status(headers or {})
            return
        tokens = reply.split(".")
        at = 4 if len(tokens) == 9 else 6  # newer servers name domain and account first
        sequence, number = int(tokens[at + 1]), int(tokens[at + 2])
        self._wanted -= 1
        if self._broken:
            return
        if number != self._number + 1:
            self.interrupt(f"delivery {self._number + 1} was lost, {number} came")
            return
        self._number = number
        if sequence > self._last:  # else it is a redelivery of what is already here
            self._last = sequence
            deliveries, stored_us, pending = int(tokens[at]), int(tokens[at + 3]) // 1000, int(tokens[at + 4])
            self._buffer.append(Message(subject, headers, data, sequence, deliveries, stored_us, pending, reply))
        self._signal.set()

    def _status(self, headers: Mapping[str, str]) -> None:
        status, text = headers.get("Status", ""), headers.get("Description", "")
        if status == "100":  # idle heartbeat
            return
        if status in ("404", "408") or text.startswith(_REQUEST_ENDED):
            self._wanted -= int(headers.get("Nats-Pending-Messages", "0"))
            self._signal.set()
        else:
            self.interrupt(f"the server ended the pull request: {status} {text}")
