"""For those who send stock events: CloudEvents as the contract wants them, published fast and safely.

Used by the demo and the tests; an adapter may use it too.
"""

from collections.abc import Sequence
from urllib.parse import quote

from msgspec import Struct, field, json
from nats.aio.client import Client

from atp.ingest.batches import BATCH_MAX, Outgoing, publish_batch
from atp.ingest.events import DELTA, LEVEL, SNAPSHOT
from atp.ingest.settings import Settings


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


def message_id(source: str, id: str) -> str:
    """The same for the same event, whichever way it comes."""
    return f"{quote(source)}:{quote(id)}"


def headers_of(event: Event) -> dict[str, str]:
    """Binary mode: attributes as headers, percent-encoded."""
    headers = {
        "Nats-Msg-Id": message_id(event.source, event.id),
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


def outgoing(event: Event, settings: Settings) -> Outgoing:
    """An event as it is published."""
    return Outgoing(subject_of(event, settings), headers_of(event), event.data)


class Feed:
    """Publishes events to the stock stream."""

    def __init__(self, nc: Client, settings: Settings | None = None) -> None:
        self._nc = nc
        self._settings = settings or Settings()
        self._js = nc.jetstream(timeout=self._settings.nats_timeout_s)

    async def publish(self, events: Sequence[Event]) -> int:
        """Store all in order, in atomic batches of up to 1,000; the last stream sequence (0 for none).

        Events the server already has are not stored again. Raises FeedRefused, FeedUncertain or nats errors: the
        batches before the failed one are stored, and sending everything once more is safe, as repeats have no effect.
        """
        last = 0
        for start in range(0, len(events), BATCH_MAX):
            batch = [outgoing(event, self._settings) for event in events[start : start + BATCH_MAX]]
            last = await publish_batch(self._nc, self._js, batch, self._settings.nats_timeout_s)
        return last


#: Printable ASCII without space, quote and percent sign, which CloudEvents wants percent-encoded.
_SAFE = "!#$&'()*+,/:;<=>?@[\\]^`{|}~"


def _data(lines: Lines) -> bytes:
    return json.encode({"lines": _lines(lines)})


def _lines(lines: Lines) -> list[dict[str, str | int]]:
    return [{"sku": s, "location": at, "quantity": q} for s, at, q in lines]
