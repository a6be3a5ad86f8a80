"""Larger events out of those of many records: a file of a million lines becomes a thousand messages.

Only levels of one version are put together: of them it matters neither how often they come nor under which id. Whatever
has an id of its own keeps it. The same file is packed alike each time.
"""

from typing import Any

from atp.mapping import Event
from atp.mapping.canonical import LINES_MAX, TYPES, digest_of

LEVEL, SNAPSHOT = TYPES["level"], TYPES["snapshot"]


class Packer:
    """Collects lines until an event is full."""

    def __init__(self) -> None:
        self._first: Event | None = None
        self._ids: list[str] = []
        self._lines: list[dict[str, Any]] = []
        self._positions: set[tuple[str, str]] = set()

    def breaks(self, event: Event) -> bool:
        """Whether what was collected ends before this event, however much it is: a place to stop and to go on from."""
        if not (event.weak and event.type == LEVEL):
            return True
        return self._first is None or not self._fits(event, _positions(event))

    def add(self, event: Event) -> list[Event]:
        """The events that are ready now, in the order in which their lines came."""
        if not (event.weak and event.type == LEVEL):
            return [*self.flush(), event]
        positions = _positions(event)
        ready = self.flush() if self._first and not self._fits(event, positions) else []
        self._first = self._first or event
        self._ids.append(event.id)
        self._lines += event.data["lines"]
        self._positions.update(positions)
        return ready

    def _fits(self, event: Event, positions: list[tuple[str, str]]) -> bool:
        """Of the same version and measure, about other positions, and not too many."""
        first = self._first
        return (
            first is not None
            and len(self._lines) + len(positions) <= LINES_MAX
            and first.sequence == event.sequence
            and first.time == event.time
            and self._lines[0].get("measure") == event.data["lines"][0].get("measure")
            and self._positions.isdisjoint(positions)
        )

    def flush(self) -> list[Event]:
        """What is left, as one event or none."""
        first = self._first
        if first is None:
            return []
        event = Event(
            first.source, digest_of(*self._ids), LEVEL, {"lines": self._lines}, first.sequence, first.time, True
        )
        self._first, self._ids, self._lines = None, [], []
        self._positions.clear()
        return [event]


def _positions(event: Event) -> list[tuple[str, str]]:
    return [(line["sku"], line["location"]) for line in event.data["lines"]]


def part_of(event: Event, snapshot: str, part: int, parts: int, locations: list[str]) -> Event:
    """A packed level event as one part of a full snapshot (R13)."""
    as_of = {"time": event.time} if event.sequence is None else {"sequence": event.sequence}
    data = {
        "snapshot_id": snapshot,
        "as_of": as_of,
        "part": part,
        "parts": parts,
        "full": True,
        "locations": locations,
        "lines": event.data["lines"],
    }
    return Event(event.source, f"{snapshot}:{part}", SNAPSHOT, data, event.sequence, event.time)
