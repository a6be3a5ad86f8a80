"""The streams of this room: stock events, vendors' messages, and those of both that fail by their own content."""

from nats.js import JetStreamContext
from nats.js.api import RetentionPolicy, StorageType, StreamConfig, StreamInfo

from atp import streams
from atp.ingest.settings import Settings


class StreamUnfit(Exception):
    """A stream that exists would break a promise; the text names it, the reason and the fix."""


async def ensure_streams(
    js: JetStreamContext, settings: Settings, settled: int = 0, raw_settled: int = 0
) -> StreamInfo:
    """Create all if absent and return what is known of the stock stream.

    ``settled`` and ``raw_settled`` are the ledger's cursors of stock events and of vendors' messages: a new stream
    starts behind its cursor, so that no sequence means two messages.
    Raises StreamUnfit for one that keeps too little (R15) or ends before the cursor.
    """
    stock = await streams.ensure(
        js,
        _kept(
            settings.stream,
            "Stock events for atp; read in order, kept for a rebuild of the ledger",
            f"{settings.root}.v1.>",
            settings,
            settled,
            allow_atomic=True,  # feeders send batches of 1,000 with one sync to disk
        ),
    )
    raw = await streams.ensure(
        js,
        _kept(
            settings.raw,
            "Vendors' messages as they came; atp makes stock events of them",
            f"{settings.root}.raw.>",
            settings,
            raw_settled,
        ),
    )
    await streams.ensure(
        js,
        StreamConfig(
            name=settings.dead_letters,
            description="Stock events that atp could not use, with the reason in their headers",
            subjects=[f"{settings.root}.dlq.>"],
            retention=RetentionPolicy.LIMITS,
            storage=StorageType.FILE,
            max_age=settings.dead_letter_retention_s,
            duplicate_window=3_600,  # a repeat comes after a restart, which may take a while
        ),
    )
    _check(stock, settings.stream, settings)
    _check(raw, settings.raw, settings)
    _check_end(stock, settings.stream, settled)
    _check_end(raw, settings.raw, raw_settled)
    return stock


def _kept(
    name: str, description: str, subjects: str, settings: Settings, settled: int, *, allow_atomic: bool | None = None
) -> StreamConfig:
    """A stream of messages that a rebuilt ledger may have to read again; a new one starts behind ``settled``."""
    return StreamConfig(
        name=name,
        description=description,
        subjects=[subjects],
        retention=RetentionPolicy.LIMITS,
        storage=StorageType.FILE,
        max_age=settings.retention_min_s,
        duplicate_window=120,
        allow_atomic=allow_atomic,
        first_seq=settled + 1 if settled else None,
    )


def _check(info: StreamInfo, name: str, settings: Settings) -> None:
    config = info.config
    if config.retention != RetentionPolicy.LIMITS:
        raise StreamUnfit(
            f"Stream {name} has retention {config.retention}: it would drop messages that a rebuilt ledger must read "
            f"again. Create it with retention limits."
        )
    if config.storage != StorageType.FILE:
        raise StreamUnfit(f"Stream {name} is kept in memory. Create it with storage file.")
    if config.max_age and config.max_age < settings.retention_min_s:
        days, least = config.max_age / 86_400, settings.retention_min_s / 86_400
        raise StreamUnfit(
            f"Stream {name} keeps messages for {days:g} days; a rebuilt ledger may need those of {least:g}. "
            f"Raise it: nats stream edit {name} --max-age={least:g}d"
        )


def _check_end(info: StreamInfo, name: str, settled: int) -> None:
    if settled > info.state.last_seq:
        raise StreamUnfit(
            f"The ledger has settled stream {name} up to sequence {settled}, but the stream ends at "
            f"{info.state.last_seq}: it was made anew, and its messages would pass for settled ones. Delete it and let "
            f"atp create it, or create it with --first-sequence={settled + 1}."
        )
