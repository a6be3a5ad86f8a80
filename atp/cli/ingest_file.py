"""``atp ingest FILE``: one file through a mapping into the stock stream, with a progress bar."""

import asyncio
import re
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from atp import config as settings
from atp.cli.client import find_nats
from atp.cli.errors import FAILED, USAGE, Refused
from atp.cli.mapping import own_folder
from atp.cli.output import note, run_once, watched

if TYPE_CHECKING:
    from atp.ingest.backfill import Format, Job, Totals
    from atp.mapping import Mapping, Stamp

_CONNECT_S = 10.0

_SUFFIXES: "dict[str, Format]" = {".csv": "csv", ".ndjson": "ndjson", ".jsonl": "ndjson", ".json": "json"}

#: A source is one token of a subject.
_TOKEN = re.compile(r"[^\s.*>\x00-\x20]{1,64}")


def usage(text: str) -> int:
    """Asked for wrongly; the text says how."""
    note(f"atp: {text}")
    return USAGE


def ingest_file(
    file: Path,
    mapping_name: str,
    source: str,
    format: "Format | None",
    sequence: int | None,
    version_time: str,
    rejects: Path | None,
    resume: bool,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Publish a file; 0, or 1 when records of it could not be used."""
    from atp.ingest.backfill import Job
    from atp.mapping import load

    if not mapping_name:
        return usage("--as MAPPING is missing; there are those of: atp mapping list")
    if not file.is_file():
        return usage(f"{file} is no file")
    config = settings.load()
    mapping = load(mapping_name, own_folder(config))
    source = source or mapping.name
    if not _TOKEN.fullmatch(source):
        return usage(f"--source {source!r} cannot be part of a NATS subject: no spaces, dots, * or >")
    given, problem = given_version(mapping, sequence, version_time)
    if problem:
        return usage(problem)
    kind = format or format_of(file, mapping)
    if kind is None:
        return usage(f"{file.name}: say how it is written with --format json, ndjson or csv")
    rejects = rejects or file.with_name(f"{file.name}.rejects.ndjson")
    job = Job(file, mapping, source, kind, given, rejects, resume)
    try:
        return run_once(config, _run(job, config, dry_run, as_json))
    except OSError as error:
        raise Refused(f"{error.filename or file}: {error.strerror or error}") from None


def given_version(mapping: "Mapping", sequence: int | None, version_time: str) -> "tuple[Stamp | None, str]":
    """The version that comes from outside, or what is wrong with it."""
    from atp.ingest.settings import Settings
    from atp.mapping import Refused as MessageRefused
    from atp.mapping import Stamp
    from atp.mapping.clocks import moment, rfc3339
    from atp.mapping.versions import sequence_of

    if (sequence is not None) and version_time:
        return None, "give --sequence or --version-time, not both"
    if sequence is None and not version_time:
        needed = "say as of when the file is true: --version-time 2026-11-20T06:00:00Z, or --sequence N"
        return None, needed if mapping.needs_version else ""
    if not mapping.needs_version:
        found = f"the mapping {mapping.name} finds versions in the file itself"
        return None, f"{found}: leave out --sequence and --version-time"
    try:
        if sequence is not None:
            return Stamp(sequence_of(sequence, "--sequence")), ""
        at = moment(version_time, ["rfc3339"], None, "--version-time")
        if at.timestamp() > time.time() + Settings().future_max_s:
            return None, f"--version-time {version_time} is in the future: nothing newer would count until then"
        return Stamp(time=rfc3339(at)), ""
    except MessageRefused as refused:
        return None, refused.detail.removesuffix("; say where its clock is: version.zone = …")


def format_of(file: Path, mapping: "Mapping") -> "Format | None":
    """What the name says, else the mapping."""
    declared = mapping.spec.format
    return _SUFFIXES.get(file.suffix.lower()) or (None if declared == "any" else declared)


async def _run(job: "Job", config: settings.Config, dry_run: bool, as_json: bool) -> int:
    from atp.ingest.backfill import Backfill

    async with AsyncExitStack() as stack:
        publish = None if dry_run else await _publisher(stack, config)
        with _watched(job.file, quiet=as_json) as watch:
            totals = await Backfill(job, publish, watch).run()
    _tell(job, totals, dry_run, as_json)
    return FAILED if totals.rejected else 0


async def _publisher(stack: AsyncExitStack, config: settings.Config) -> Callable:
    from nats.errors import Error as NatsError
    from nats.js.errors import NotFoundError

    from atp.ingest import Feed, FeedRefused, Settings
    from atp.wiring import open_nats

    config = msgspec.structs.replace(config, nats_url=find_nats(config))
    try:
        async with asyncio.timeout(_CONNECT_S):
            nats = await stack.enter_async_context(open_nats(config, "ingest file", asyncio.Event()))
            await nats.jetstream().stream_info(Settings().stream)
    except TimeoutError:
        raise Refused(f"NATS does not answer within {_CONNECT_S:.0f} s") from None
    except NotFoundError:
        raise Refused(f"there is no stream {Settings().stream} yet; the service `atp ingest` makes it") from None
    feed = Feed(nats)

    async def publish(events: list) -> None:
        try:
            await feed.publish(events)
        except (NatsError, FeedRefused, TimeoutError) as error:
            raise Refused(f"NATS did not take the events ({error}); go on later with --resume") from None

    return publish


@contextmanager
def _watched(file: Path, *, quiet: bool) -> "Iterator[Callable[[Totals], None]]":
    figures, size = "{task.fields[lines]:,} lines, {task.fields[rejected]:,} rejected", file.stat().st_size
    with watched(file.name, size, figures, quiet=quiet, in_bytes=True, lines=0, rejected=0) as move:

        def watch(totals: "Totals") -> None:
            what = f"checking {file.name}" if totals.checking else file.name
            move(completed=totals.offset, description=what, lines=totals.records, rejected=totals.rejected)

        yield watch


def _tell(job: "Job", totals: "Totals", dry_run: bool, as_json: bool) -> None:
    if as_json:
        told = msgspec.to_builtins(totals) | {"dry_run": dry_run, "source": job.source, "mapping": job.mapping.name}
        print(msgspec.json.encode(told).decode())
        return
    if totals.resumed_at:
        print(f"went on behind line {totals.resumed_at:,}")
    what = "would publish" if dry_run else "published"
    print(f"{totals.records:,} records: {what} {totals.lines:,} lines in {totals.events:,} events of {job.source}")
    for reason, count in totals.skipped.items():
        print(f"skipped {count:,}: {reason}")
    if totals.rejected:
        for example in totals.examples:
            note(example)
        told = "" if dry_run else f": see {job.rejects}"
        print(f"rejected {totals.rejected:,}{told}")
        if totals.checking:
            print("nothing was published: without these records, a full snapshot would set their positions to 0")
