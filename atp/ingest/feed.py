"""For those who send stock events: CloudEvents as the contract wants them, published fast and safely.

With a server that syncs each message to disk, atomic batches are about twenty times faster than single publishes
(research/spikes.md §8). Used by the demo and the tests; an adapter may use it too.
"""

import asyncio
import secrets
from collections.abc import Sequence
from urllib.parse import quote

from msgspec import Struct, field, json
from nats.aio.client import Client

from atp.ingest.events import DELTA, LEVEL, SNAPSHOT
from atp.ingest.settings import Settings

#: The server's limit for one atomic batch.
BATCH_MAX = 1_000

_DUPLICATE_IN_BATCH = 10201  # one id is stored already: the server refuses the whole batch
_SINGLY_AT_ONCE = 256


class FeedRefused(Exception):
    """The server did not take a batch; nothing of it is stored."""


class Event(Struct):
    """One message to publish. ``id`` becomes ce-id and, with the source, the server's own duplicate check."""

    source: str
    id: str
    type: str
    data: bytes
    sequence: int | None = None
    time: str = ""  # RFC 3339; orders events when there is no sequence
    traceparent: str = ""
    shard: str = ""
    headers: dict[str, str] = field(default_factory=dict)  # added as they are


Lines = Sequence[tuple[str, str, int]]


def level(source: str, id: str, lines: Lines, sequence: int | None = None, time: str = "", shard: str = "") -> Event:
    """What a source counts: lines are (sku, location, quantity)."""
    return Event(source, id, LEVEL, _data(lines), sequence, time, shard=shard)


def delta(source: str, id: str, lines: Lines, sequence: int | None = None, time: str = "", shard: str = "") -> Event:
    """By how much positions changed: lines are (sku, location, ±quantity)."""
    return Event(source, id, DELTA, _data(lines), sequence, time, shard=shard)


def snapshot(
    source: str, id: str, lines: Lines, *, part: int, parts: int, locations: Sequence[str], as_of: int
) -> Event:
    """A part of a full snapshot ``id`` as of a sequence: lines are (sku, location, quantity)."""
    data = {
        "snapshot_id": id, "as_of": {"sequence": str(as_of)}, "part": part, "parts": parts, "full": True,
        "locations": locations, "lines": _lines(lines),
    }  # fmt: skip
    return Event(source, f"{id}/{part}", SNAPSHOT, json.encode(data))


def subject_of(event: Event, settings: Settings) -> str:
    """The subject an event is published on."""
    tail = f".{event.shard}" if event.shard else ""
    return f"{settings.root}.v1.{event.source}{tail}"


def headers_of(event: Event) -> dict[str, str]:
    """Binary mode: attributes as headers, percent-encoded."""
    headers = {
        "Nats-Msg-Id": f"{quote(event.source)}:{quote(event.id)}",
        "ce-specversion": "1.0",
        "ce-id": quote(event.id, safe=_SAFE),
        "ce-source": quote(event.source, safe=_SAFE),
        "ce-type": event.type,
        "ce-datacontenttype": "application/json",
    }
    if event.sequence is not None:
        headers["ce-sequence"] = str(event.sequence)
    if event.time:
        headers["ce-time"] = event.time
    if event.traceparent:
        headers["traceparent"] = event.traceparent
    return headers | event.headers


class Feed:
    """Publishes events to the stock stream."""

    def __init__(self, nc: Client, settings: Settings | None = None) -> None:
        self._nc = nc
        self._settings = settings or Settings()
        self._js = nc.jetstream(timeout=self._settings.nats_timeout_s)

    async def publish(self, events: Sequence[Event]) -> int:
        """Store all in order, in atomic batches of up to 1,000; the last stream sequence (0 for none).

        Events the server already has are not stored again. Raises FeedRefused or nats errors: the batches before
        the failed one are stored, and sending everything once more is safe within the stream's duplicate window.
        """
        last = 0
        for start in range(0, len(events), BATCH_MAX):
            last = await self._batch(events[start : start + BATCH_MAX])
        return last

    async def _batch(self, events: Sequence[Event]) -> int:
        batch = secrets.token_hex(16)
        for number, event in enumerate(events[:-1], 1):
            await self._nc.publish(
                subject_of(event, self._settings),
                event.data,
                headers=headers_of(event) | {"Nats-Batch-Id": batch, "Nats-Batch-Sequence": str(number)},
            )
        commit = {"Nats-Batch-Id": batch, "Nats-Batch-Sequence": str(len(events)), "Nats-Batch-Commit": "1"}
        reply = await self._nc.request(
            subject_of(events[-1], self._settings),
            events[-1].data,
            timeout=self._settings.nats_timeout_s,
            headers=headers_of(events[-1]) | commit,
        )
        answer = json.decode(reply.data, type=_Answer)
        if answer.error is None:
            return answer.seq
        if answer.error.err_code == _DUPLICATE_IN_BATCH:
            return await self._singly(events)
        raise FeedRefused(f"{answer.error.description} ({answer.error.err_code})")

    async def _singly(self, events: Sequence[Event]) -> int:
        """One by one, so that the server drops what it has. Sent in order on one connection, so stored in order."""
        last = 0
        for start in range(0, len(events), _SINGLY_AT_ONCE):
            answers = await asyncio.gather(
                *(
                    self._js.publish(
                        subject_of(event, self._settings),
                        event.data,
                        timeout=self._settings.nats_timeout_s,
                        headers=headers_of(event),
                    )
                    for event in events[start : start + _SINGLY_AT_ONCE]
                )
            )
            last = max(last, *(answer.seq for answer in answers))
        return last


#: Printable ASCII without space, quote and percent sign, which CloudEvents wants percent-encoded.
_SAFE = "!#$&'()*+,/:;<=>?@[\\]^`{|}~"


class _Failure(Struct):
    err_code: int = 0
    description: str = ""


class _Answer(Struct):
    seq: int = 0
    error: _Failure | None = None


def _data(lines: Lines) -> bytes:
    return json.encode({"lines": _lines(lines)})


def _lines(lines: Lines) -> list[dict[str, str | int]]:
    return [{"sku": s, "location": at, "quantity": q} for s, at, q in lines]
