"""Times as callers see them: RFC 3339 in UTC with milliseconds."""

from datetime import UTC, datetime
from functools import lru_cache


def rfc3339(at_ms: int) -> str:
    """``1763719200123`` as ``2025-11-21T10:00:00.123Z``."""
    second, ms = divmod(at_ms, 1000)
    return f"{_second_text(second)}.{ms:03d}Z"


@lru_cache(maxsize=4096)  # all requests of one second share the text of "now" and of "now + ttl"
def _second_text(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
