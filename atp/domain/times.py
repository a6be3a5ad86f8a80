"""Times as callers see them: RFC 3339 in UTC with milliseconds, and days as a location lives them."""

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


@lru_cache(maxsize=4096)  # what a batch of the ledger makes has one time
def rfc3339(at_ms: int) -> str:
    """``1763719200123`` as ``2025-11-21T10:00:00.123Z``."""
    second, ms = divmod(at_ms, 1000)
    return f"{_second_text(second)}.{ms:03d}Z"


@lru_cache(maxsize=4096)  # all requests of one second share the text of "now" and of "now + ttl"
def _second_text(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def day_starts(day: date, zone: str) -> int:
    """When a day begins, ms since the epoch, where the clocks show ``zone`` (an IANA name).

    Raises ValueError for a zone that this machine does not know.
    """
    return (datetime.combine(day, time(), _zone(zone)) - _EPOCH) // _MILLISECOND


@lru_cache(maxsize=512)
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, OSError, UnicodeError) as problem:
        raise ValueError(f"{name!r} is not a time zone") from problem
