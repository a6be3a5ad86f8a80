"""Changes: the stream of availability events as the feed reads it, which keeps them for days (R33).

While somebody follows, the process hears the stream and keeps its newest part in memory; older parts are read from the
stream in pages. Only which sku changed is taken from an event: the numbers come from the ledger, for any channel.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from itertools import islice, takewhile

import structlog
from msgspec import DecodeError, Struct, json
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy, StreamInfo
from nats.js.errors import NotFoundError

from atp.api.following.hearing import Hearing, Interrupted
from atp.api.following.history import read_past
from atp.domain.ids import digest53
from atp.waiting import stopped_within

#: Events kept in memory: of the last minute in a sale, of a day at other times.
KEPT_MAX = 50_000

#: Events looked at for one page.
PAGE = 1_000

#: Nobody followed for so long: the process hears no more.
IDLE_S = 60.0

OPEN_S, RETRY_S, LOOK_S, INFO_S = 2.0, 0.5, 5.0, 1.0

#: A query does not wait longer for the cursor in its answer.
NEWEST_S = 0.25

#: Stands in the place of a sku for an event that concerns all of them.
ALL = ""

_AWAY = (NatsError, NotFoundError, OSError, TimeoutError)

log = structlog.get_logger("atp.api")


class StreamAway(Exception):
    """NATS, or the stream, cannot be reached."""


class Expired(Exception):
    """The stream does not have what follows the cursor any more, or is another one."""


class Found(Struct, frozen=True):
    """Skus that changed up to ``through``, each once, in the order of their last change."""

    skus: list[str]
    through: int
    all: bool = False  # any sku may have changed


class _Told(Struct):
    sku: str = ALL


_sku = json.Decoder(_Told).decode


class Changes:
    """One per process. ``on_news`` is called whenever ``through`` grew."""

    def __init__(self, nc: Client, stream: str = "ATP", root: str = "atp.v1") -> None:
        self._nc = nc
        self._stream = stream
        self._subjects = [f"{root}.availability", f"{root}.network"]
        self.id = 0  # of the stream that ``through`` counts in
        self.through = 0  # everything up to here was heard
        self.on_news: Callable[[], None] = _nothing
        self._first = 0  # what follows it is kept
        self._kept: deque[tuple[int, str]] = deque()
        self._hearing = asyncio.Event()
        self._used_at = 0.0
        self._task: asyncio.Task[None] | None = None
        self._stop = asyncio.Event()
        self._told: tuple[float, tuple[int, int] | None] = (float("-inf"), None)

    async def follow(self) -> None:
        """Hear the stream from now on. Raises StreamAway when that does not begin within two seconds."""
        self._used_at = time.monotonic()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())
        try:
            async with asyncio.timeout(OPEN_S):
                await self._hearing.wait()
        except TimeoutError:
            raise StreamAway("the stream of events cannot be reached") from None

    async def newest(self) -> tuple[int, int] | None:
        """(id of the stream, its end a second ago at most) for who will follow later; None while it is away."""
        if self._hearing.is_set():
            return self.id, self.through
        at, known = self._told
        if time.monotonic() - at >= INFO_S:
            self._told = (time.monotonic(), known)  # whoever comes meanwhile takes what was known
            try:
                async with asyncio.timeout(NEWEST_S):
                    info = await self._info()
                known = _id(info), info.state.last_seq
            except (StreamAway, TimeoutError):
                known = None
            self._told = (time.monotonic(), known)
        return known

    async def after(self, seq: int, skus_max: int) -> Found:
        """What changed after ``seq``, of about ``skus_max`` skus. Raises Expired, StreamAway."""
        if seq < self._first:
            return await self._past(seq, skus_max)
        behind = list(takewhile(lambda event: event[0] > seq, reversed(self._kept)))
        behind.reverse()
        events = behind[:PAGE]
        return gather(events, skus_max, events[-1][0] if len(behind) > PAGE else max(seq, self.through))

    async def check(self, stream: int, seq: int) -> None:
        """Raises Expired unless the stream has been at ``seq``; other processes may have heard more of it."""
        if stream != self.id or (seq > self.through and seq > (await self._info()).state.last_seq):
            raise Expired

    async def close(self) -> None:
        """Hear no more."""
        self._stop.set()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _past(self, seq: int, skus_max: int) -> Found:
        try:
            info = await self._info()
            if _id(info) != self.id or seq + 1 < info.state.first_seq or seq > info.state.last_seq:
                raise Expired
            events, left = await read_past(self._nc, self._stream, self._subjects, seq, PAGE)
        except _AWAY as error:
            raise StreamAway(str(error) or type(error).__name__) from None
        named = [(at, self._sku_of(subject, data)) for at, subject, data in events]
        return gather(named, skus_max, named[-1][0] if left else info.state.last_seq)

    async def _run(self) -> None:
        while time.monotonic() - self._used_at < IDLE_S and not self._stop.is_set():
            try:
                await self._hear()
            except (Interrupted, StreamAway, *_AWAY) as error:
                if self._hearing.is_set():
                    log.warning("availability events are not heard", error=str(error) or type(error).__name__)
            except Exception:
                log.exception("availability events could not be heard")
            self._hearing.clear()
            await stopped_within(self._stop, RETRY_S)

    async def _hear(self) -> None:
        info = await self._info()
        last = info.state.last_seq
        if _id(info) != self.id or not 0 <= last - self.through <= KEPT_MAX or self.through + 1 < info.state.first_seq:
            self._kept.clear()
            self.id, self._first, self.through = _id(info), last, last
        config = ConsumerConfig(
            description="a process of atp that serves the feed of availability",
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=self.through + 1,
            filter_subjects=self._subjects,
            ack_policy=AckPolicy.NONE,
            mem_storage=True,
        )
        async with Hearing(self._nc, self._stream, config, self._take) as hearing:
            self._hearing.set()
            look_at = time.monotonic() + LOOK_S
            while time.monotonic() - self._used_at < IDLE_S:
                await hearing.wait()
                if time.monotonic() >= look_at:
                    await self._advance(hearing)
                    look_at = time.monotonic() + LOOK_S

    async def _advance(self, hearing: Hearing) -> None:
        """Where nothing was heard for a while: cursors must not grow old meanwhile."""
        info = await self._info()
        if _id(info) != self.id:
            raise Interrupted("the stream was made anew")
        if await hearing.is_complete() and info.state.last_seq > self.through:
            self.through = info.state.last_seq

    def _take(self, seq: int, subject: str, data: bytes) -> None:
        self._kept.append((seq, self._sku_of(subject, data)))
        if len(self._kept) > KEPT_MAX:
            self._first = self._kept.popleft()[0]
        self.through = seq
        self.on_news()

    def _sku_of(self, subject: str, data: bytes) -> str:
        if subject == self._subjects[1]:
            return ALL
        try:
            return _sku(data).sku
        except DecodeError:
            log.warning("an availability event cannot be read", subject=subject)
            return ALL  # it says that something changed

    async def _info(self) -> StreamInfo:
        if not self._nc.is_connected:
            raise StreamAway("NATS is not connected")
        try:
            return await self._nc.jetstream(timeout=OPEN_S).stream_info(self._stream)
        except _AWAY as error:
            raise StreamAway(str(error) or type(error).__name__) from None


def gather(events: list[tuple[int, str]], skus_max: int, through: int) -> Found:
    """The skus of events in order; of one that occurs again the last time counts. Stops at ``skus_max`` of them."""
    last: dict[str, int] = {}
    for seq, sku in events:
        if sku == ALL:
            return Found([], through, all=True)
        last.pop(sku, None)
        last[sku] = seq
    if len(last) <= skus_max:
        return Found(list(last), through)
    # Those left out changed after the last one that is told.
    skus = list(islice(last, skus_max))
    return Found(skus, last[skus[-1]])


def _id(info: StreamInfo) -> int:
    """A stream that was deleted and made again has another one, though its sequences begin anew."""
    return digest53(str(info.created)) >> 21


def _nothing() -> None:
    return
