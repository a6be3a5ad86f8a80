"""Hearing: a stream's events as they come, in order and without a gap, or Interrupted (an ordered push consumer)."""

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js.api import ConsumerConfig

from atp.natspy import Headers, deliver

BEAT_S, BEATS_MISSED = 2.0, 3

#: (sequence in the stream, subject, data)
Take = Callable[[int, str, bytes], None]


class Interrupted(Exception):
    """What came may not be all: begin again behind the last event."""


class Hearing:
    """``async with Hearing(...) as hearing``: ``take`` gets every event; call ``wait`` again and again meanwhile."""

    def __init__(self, nc: Client, stream: str, config: ConsumerConfig, take: Take) -> None:
        self._nc = nc
        self._js = nc.jetstream(timeout=BEAT_S)
        self._stream = stream
        self._config = config
        self._take_event = take
        self._name = ""
        self._number = 0  # of the last delivery, counted by the server
        self._heard = time.monotonic()
        self._reconnects = nc.stats["reconnects"]
        self._broken = ""
        self._answers: list[str] = []  # where the server waits to hear that we keep up
        self._signal = asyncio.Event()

    async def __aenter__(self) -> "Hearing":
        inbox = self._nc.new_inbox()
        self._subscription = await self._nc.subscribe(inbox)
        deliver(self._nc, self._subscription, self._take)
        self._config.deliver_subject = inbox
        self._config.idle_heartbeat = BEAT_S
        self._config.flow_control = True
        try:
            info = await self._js.add_consumer(self._stream, self._config)
        except BaseException:
            await self.__aexit__()
            raise
        self._name = info.name
        return self

    async def __aexit__(self, *_: object) -> None:
        with suppress(NatsError, TimeoutError, OSError):  # else the server forgets it by itself
            await self._subscription.unsubscribe()
            if self._name:
                await self._js.delete_consumer(self._stream, self._name)

    async def wait(self) -> None:
        """Up to a heartbeat, or until there is something to do. Raises Interrupted."""
        try:
            async with asyncio.timeout(BEAT_S):
                await self._signal.wait()
        except TimeoutError:
            pass
        self._signal.clear()
        answers, self._answers = self._answers, []
        for answer in answers:
            await self._nc.publish(answer, b"")
        if not self._nc.is_connected or self._nc.stats["reconnects"] != self._reconnects:
            self._broken = self._broken or "the connection to NATS was lost"
        elif time.monotonic() - self._heard > BEATS_MISSED * BEAT_S:
            self._broken = self._broken or "no heartbeat of the consumer"
        if self._broken:
            raise Interrupted(self._broken)

    async def is_complete(self) -> bool:
        """Whether everything that the stream has by now was heard."""
        info = await self._js.consumer_info(self._stream, self._name)
        return info.num_pending == 0 and info.delivered is not None and info.delivered.consumer_seq == self._number

    def _take(self, subject: str, reply: str, data: bytes, headers: Headers) -> None:
        self._heard = time.monotonic()
        if not reply.startswith("$JS.ACK."):
            self._status(reply, headers or {})
            return
        tokens = reply.split(".")
        at = 5 if len(tokens) == 9 else 7  # newer servers name domain and account first
        sequence, number = int(tokens[at]), int(tokens[at + 1])
        if number != self._number + 1:
            self._interrupt(f"delivery {self._number + 1} was lost, {number} came")
        if not self._broken:
            self._number = number
            self._take_event(sequence, subject, data)

    def _status(self, reply: str, headers: Mapping[str, str]) -> None:
        if headers.get("Status") != "100":
            self._interrupt(f"the server ended the consumer: {headers.get('Description', '')}")
            return
        if wanted := reply or headers.get("Nats-Consumer-Stalled", ""):
            self._answers.append(wanted)
            self._signal.set()
        last = headers.get("Nats-Last-Consumer")
        if last is not None and int(last) != self._number:
            self._interrupt(f"delivery {last} was lost")

    def _interrupt(self, why: str) -> None:
        self._broken = self._broken or why
        self._signal.set()
