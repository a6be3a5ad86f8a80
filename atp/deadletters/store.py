"""The stream of dead letters on NATS, and single messages of the streams they came from."""

import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import datetime

from msgspec import Struct, UnsetType, json
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import BadHeaderError, BadSubjectError, MaxPayloadError
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import APIError, NotFoundError, ServerError, ServiceUnavailableError

from atp.deadletters.letters import Letter, read
from atp.deadletters.settings import LetterSettings
from atp.natspy import parse_header_lines, repair

#: The client refuses such a message itself: it is the message, not the connection.
UNSENDABLE = (BadHeaderError, BadSubjectError, MaxPayloadError)

#: Server errors: no such message, no such stream, and whatever kept a message from being removed.
_TOLD = (10037, 10059, 10043, 10057)


class LettersUnavailable(Exception):
    """NATS cannot be asked now; the text says what happened."""


class Stored(Struct):
    """One message as a stream keeps it."""

    subject: str
    headers: dict[str, str]
    data: bytes
    stored_at: int  # ms


class _Raw(Struct):
    subject: str
    time: str
    hdrs: bytes = b""  # base64 in JSON, which msgspec undoes
    data: bytes = b""


class _Failure(Struct):
    code: int = 0
    err_code: int = 0
    description: str = ""


class _Answer(Struct):
    message: _Raw | UnsetType | None = None
    error: _Failure | None = None


@asynccontextmanager
async def reaching_nats() -> AsyncIterator[None]:
    """Turn what a connection or a server that is away raises into LettersUnavailable."""
    try:
        yield
    except (ServiceUnavailableError, ServerError) as error:
        raise LettersUnavailable(f"JetStream is not usable now: {error.description or error}") from None
    except (APIError, *UNSENDABLE):
        raise
    except (NatsError, TimeoutError, OSError) as error:
        raise LettersUnavailable(f"NATS does not answer: {str(error) or type(error).__name__}") from None


class Store:
    """Reads and deletes; every method raises LettersUnavailable while NATS is away."""

    def __init__(self, nc: Client, settings: LetterSettings) -> None:
        repair(nc)  # whoever may publish to the stream must not be able to make this connection deaf
        self.nc = nc
        self.js: JetStreamContext = nc.jetstream(timeout=settings.timeout_s)
        self._settings = settings

    async def last(self) -> int:
        """The newest letter's id, 0 while there is no stream."""
        async with reaching_nats():
            self._check()
            try:
                return (await self.js.stream_info(self._settings.stream)).state.last_seq
            except NotFoundError:
                return 0

    async def letter(self, id: int) -> Letter | None:
        """One letter, whole."""
        found = await self.stored(self._settings.stream, id)
        return found and self._letter(id, found.subject, found.headers, found.stored_at, found.data)

    async def stored(self, stream: str, sequence: int) -> Stored | None:
        """One message, None if the stream has it no more."""
        if not sequence:
            return None
        answer = await self._ask("GET", stream, {"seq": sequence})
        raw = answer.message
        if not isinstance(raw, _Raw):
            return None
        headers = parse_header_lines(raw.hdrs.partition(b"\r\n")[2])
        return Stored(raw.subject, headers, raw.data, _ms(datetime.fromisoformat(raw.time)))

    async def delete(self, id: int) -> bool:
        """Whether the letter was there."""
        answer = await self._ask("DELETE", self._settings.stream, {"seq": id, "no_erase": True})
        if answer.error and await self.stored(self._settings.stream, id):  # one code for all that can go wrong there
            raise LettersUnavailable(f"JetStream could not remove a letter: {answer.error.description}")
        return answer.error is None

    async def scan(
        self, source: str, after: int, through: int, *, whole: bool
    ) -> AsyncGenerator[tuple[list[Letter], int], None]:
        """Letters in order, some at a time, each time with how many are left after them; ``whole`` with payloads."""
        s, at_once = self._settings, self._settings.letters_at_once if whole else self._settings.headers_at_once
        if after >= min(through, await self.last()):
            return
        async with reaching_nats(), self._reader(source, after, whole) as (reader, left):
            while left and after < through:
                try:
                    messages = await reader.fetch(min(at_once, left), timeout=s.timeout_s)
                except TimeoutError:  # somebody else may have thrown the rest away meanwhile
                    if (await reader.consumer_info()).num_pending:
                        raise
                    return
                letters = [self._delivered(message, whole) for message in messages]
                left, after = messages[-1].metadata.num_pending, letters[-1].id
                yield [letter for letter in letters if letter.id <= through], left

    @asynccontextmanager
    async def _reader(
        self, source: str, after: int, whole: bool
    ) -> AsyncIterator[tuple[JetStreamContext.PullSubscription, int]]:
        """A consumer of this call's own behind letter ``after``, and how many letters are before it."""
        s, name = self._settings, f"atp-dlq-{secrets.token_hex(8)}"
        self._check()
        config = ConsumerConfig(
            name=name,
            description="somebody looks through atp's dead letters",
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=after + 1,
            filter_subject=f"{s.root}.dlq.{source or '>'}",
            ack_policy=AckPolicy.NONE,
            headers_only=not whole,
            mem_storage=True,
            inactive_threshold=s.forgotten_s,
        )
        info = await self.js.add_consumer(s.stream, config)
        reader = await self.js.pull_subscribe_bind(stream=s.stream, name=name)
        try:
            yield reader, info.num_pending or 0
        finally:
            with suppress(NatsError, TimeoutError):
                await reader.unsubscribe()
                await self.js.delete_consumer(s.stream, name)

    async def _ask(self, what: str, stream: str, body: dict) -> _Answer:
        async with reaching_nats():
            self._check()
            reply = await self.nc.request(
                f"$JS.API.STREAM.MSG.{what}.{stream}", json.encode(body), timeout=self._settings.timeout_s
            )
        answer = _decode(reply.data)
        if answer.error and answer.error.err_code not in _TOLD:
            raise LettersUnavailable(f"JetStream refused: {answer.error.description} ({answer.error.err_code})")
        return answer

    def _check(self) -> None:
        if not self.nc.is_connected:
            raise LettersUnavailable("NATS is not connected")

    def _delivered(self, message: Msg, whole: bool) -> Letter:
        meta = message.metadata
        payload = message.data if whole else None
        return self._letter(meta.sequence.stream, message.subject, message.headers, _ms(meta.timestamp), payload)

    def _letter(
        self, id: int, subject: str, headers: Mapping[str, str] | None, dead_at: int, payload: bytes | None
    ) -> Letter:
        s = self._settings
        return read(id, subject, headers or {}, dead_at, payload, (s.stock, s.raw))


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)


_decode = json.Decoder(_Answer).decode
