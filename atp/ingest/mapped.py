"""Events of a mapping as the feed publishes them, so that all formats take the same way from there."""

from atp.ingest import feed
from atp.ingest.events import DELTA
from atp.mapping import Event


def to_publish(event: Event) -> feed.Event:
    """One message of the stock stream. Deltas known by nothing but their content say so in a header."""
    headers = {"atp-dedup": "weak"} if event.weak and event.type == DELTA else {}
    return feed.Event(event.source, event.id, event.type, event.encoded(), event.sequence, event.time, headers=headers)
