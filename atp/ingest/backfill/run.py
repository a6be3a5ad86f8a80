"""The run of one file: records through the mapping, events to the stock stream, in bounded memory."""

from collections.abc import Awaitable, Callable, Iterator
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO

from msgspec import Struct, field

from atp.ingest import feed
from atp.ingest.backfill import progress as kept
from atp.ingest.backfill import records
from atp.ingest.backfill.packing import Packer, part_of
from atp.ingest.backfill.progress import Progress
from atp.ingest.backfill.records import Format, Place, Record
from atp.ingest.backfill.rejects import Rejects
from atp.ingest.mapped import to_publish
from atp.mapping import Event, Mapped, Mapping, Message, Refused, Stamp
from atp.mapping.canonical import count, digest_of

#: Events of one publish, and lines of them; a line is about 60 bytes of JSON.
_EVENTS_MAX = 1_000
_LINES_MAX = 20_000

#: Rejected records that are told at once; the file of rejects has all.
_EXAMPLES_MAX = 10

#: Records between two words about how far it is.
_WATCHED_EVERY = 1_000

#: Locations of one snapshot (CONTRACT "NATS").
_LOCATIONS_MAX = 1_000


class Unusable(Exception):
    """The file as a whole cannot be sent; the text says why. Nothing more of it was."""


class Job(Struct):
    """One file and what to do with it."""

    file: Path
    mapping: Mapping
    source: str
    format: Format
    given: Stamp | None = None  # the version of everything in it
    rejects: Path | None = None
    resume: bool = False


class Totals(Struct):
    """What came of a file."""

    records: int = 0
    events: int = 0
    lines: int = 0
    rejected: int = 0
    skipped: dict[str, int] = field(default_factory=dict)
    offset: int = 0  # bytes read
    examples: list[str] = []  # the first records that could not be used
    checking: bool = False  # a snapshot is read once before anything is sent
    snapshot: str = ""
    resumed_at: int = 0  # line after which this run went on


class _Shape(Struct):
    """What a snapshot's parts say of the whole."""

    snapshot: str = ""
    parts: int = 0
    locations: list[str] = []


Publish = Callable[[list[feed.Event]], Awaitable[object]]


class Backfill:
    """Sends one file. ``publish`` None is a dry run, which writes nothing; ``watch`` hears how far it is."""

    def __init__(self, job: Job, publish: Publish | None, watch: Callable[[Totals], None]) -> None:
        self._job = job
        self._publish = publish
        self._watch = watch
        self._shape = _Shape()
        self._totals = Totals()

    async def run(self) -> Totals:
        """To the end of the file. Raises Unusable, CannotResume, and what ``publish`` raises: then --resume goes on."""
        if self._job.mapping.spec.snapshot and not self._measure():
            return self._totals
        head, size = kept.head_of(self._job.file)
        version = (self._job.given and (self._job.given.time or str(self._job.given.sequence))) or ""
        state = Progress(self._job.mapping.name, self._job.source, version, head, size, snapshot=self._shape.snapshot)
        if self._job.resume and self._publish:
            state = kept.load(self._job.file, state)
        self._totals = Totals(
            state.records, state.events, state.lines, state.rejected, dict(state.skipped), state.offset,
            snapshot=state.snapshot, resumed_at=state.line,
        )  # fmt: skip
        with (
            self._job.file.open("rb") as file,
            Rejects(self._job.rejects if self._publish else None, state.rejects_bytes) as rejects,
        ):
            await self._send(file, state, rejects)
        if self._publish:
            kept.forget(self._job.file)
        return self._totals

    async def _send(self, file: BinaryIO, state: Progress, rejects: Rejects) -> None:
        packer, ready, lines = Packer(), [], 0
        place = Place(state.offset, state.line)
        for record in self._records(file, place):
            mapped = self._mapped(record)
            full = len(ready) >= _EVENTS_MAX or lines >= _LINES_MAX
            if full and isinstance(mapped, Mapped) and mapped.events and packer.breaks(mapped.events[0]):
                # Going on from here packs what follows as it would have been without a stop.
                await self._publish_all(ready + packer.flush())
                self._remember(state, place, rejects)
                ready, lines = [], 0
            for event in self._counted(record, mapped, rejects):
                packed = packer.add(event)
                ready += packed
                lines += sum(_lines_of(one) or 1 for one in packed)
            place = Place(record.end, record.last)
        await self._publish_all(ready + packer.flush())

    async def _publish_all(self, events: list[Event]) -> None:
        totals, shape = self._totals, self._shape
        if shape.parts:
            events = [
                part_of(event, shape.snapshot, totals.events + n, shape.parts, shape.locations)
                for n, event in enumerate(events, 1)
            ]
        if self._publish and events:
            await self._publish([to_publish(event) for event in events])
        totals.events += len(events)
        totals.lines += sum(map(_lines_of, events))
        self._watch(totals)

    def _remember(self, state: Progress, place: Place, rejects: Rejects) -> None:
        """Everything before ``place`` is stored by the server."""
        if not self._publish:
            return
        totals = self._totals
        state.offset, state.line = place.offset, place.line
        state.records, state.events, state.lines = totals.records, totals.events, totals.lines
        state.rejected, state.skipped, state.rejects_bytes = totals.rejected, totals.skipped, rejects.flush()
        kept.save(self._job.file, state)

    def _measure(self) -> bool:
        """The first of two readings that a snapshot takes: is it whole, how many parts, which locations.

        False when records are broken: without them their positions would count as empty, so nothing is sent.
        """
        digest = blake2b(digest_size=16)
        with self._job.file.open("rb") as file:
            while piece := file.read(1 << 20):
                digest.update(piece)
        packer, parts, locations = Packer(), 0, set[str]()
        self._totals.checking = True
        with self._job.file.open("rb") as file, Rejects(self._job.rejects if self._publish else None, 0) as rejects:
            for record in self._records(file, Place()):
                for event in self._counted(record, self._mapped(record), rejects):
                    if not event.weak:
                        raise Unusable("a snapshot's rows have no ids of their own: leave id out of the mapping")
                    locations.update(line["location"] for line in event.data["lines"])
                    parts += len(packer.add(event))
                if len(locations) > _LOCATIONS_MAX:
                    raise Unusable(f"a snapshot names at most {_LOCATIONS_MAX} locations; split the file")
        parts += len(packer.flush())
        if self._totals.rejected:
            return False
        if not locations:
            raise Unusable("a snapshot without a single line; it would say that nothing is anywhere")
        given = self._job.given or Stamp()
        id = digest_of(self._job.source, str(given.sequence), given.time, digest.hexdigest())
        self._shape = _Shape(id, parts, sorted(locations))
        return True

    def _records(self, file: BinaryIO, place: Place) -> Iterator[Record]:
        try:
            yield from records.read(file, self._job.format, self._job.mapping.spec.csv, place)
        except Refused as refused:
            raise Unusable(f"{self._job.file}: {refused.detail}") from None

    def _mapped(self, record: Record) -> Mapped | Refused:
        if isinstance(record.value, Refused):
            return record.value
        given = self._job.given
        message = Message(record.raw, {}, given, given.time if given else "")
        try:
            return self._job.mapping.apply_document(record.value, message, self._job.source)
        except Refused as refused:
            return refused

    def _counted(self, record: Record, mapped: Mapped | Refused, rejects: Rejects) -> list[Event]:
        totals = self._totals
        totals.records += 1
        totals.offset = record.end
        if not totals.records % _WATCHED_EVERY:
            self._watch(totals)
        if isinstance(mapped, Refused):
            totals.rejected += 1
            if len(totals.examples) < _EXAMPLES_MAX:
                totals.examples.append(f"line {record.line:,}: {mapped}")
            rejects.add(record.line, record.raw, mapped)
            return []
        for reason, rows in mapped.skipped.items():
            count(totals.skipped, reason, rows)
        return mapped.events


def _lines_of(event: Event) -> int:
    return len(event.data.get("lines", ()))
