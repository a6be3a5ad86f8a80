"""The stream of outgoing events: made if absent, never changed if there."""

from nats.js import JetStreamContext
from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig, StreamInfo

from atp import streams
from atp.outbox.settings import Settings


class StreamUnfit(Exception):
    """The stream that exists would lose events; the text names the setting and the fix."""


async def ensure_stream(js: JetStreamContext, settings: Settings) -> StreamInfo:
    """The stream as it is. Raises StreamUnfit for one that does not keep our subjects, or not on disk."""
    info = await streams.ensure(js, _wanted(settings))
    config = info.config
    if config.storage != StorageType.FILE or config.retention != RetentionPolicy.LIMITS:
        raise StreamUnfit(f"Stream {settings.stream} must have storage file and retention limits; delete or rename it.")
    if f"{settings.root}.>" not in (config.subjects or []):
        raise StreamUnfit(
            f"Stream {settings.stream} does not keep {settings.root}.>; add it: "
            f"nats stream edit {settings.stream} --subjects='{settings.root}.>'"
        )
    return info


def _wanted(settings: Settings) -> StreamConfig:
    return StreamConfig(
        name=settings.stream,
        description="What atp did: reservations, shortages, availability, as CloudEvents",
        subjects=[f"{settings.root}.>"],
        retention=RetentionPolicy.LIMITS,
        storage=StorageType.FILE,
        discard=DiscardPolicy.OLD,
        max_age=settings.retention_s,
        duplicate_window=settings.duplicate_window_s,
        allow_atomic=True,
        allow_direct=True,
    )
