"""Canonical events: what mappings yield, with the same ids and the same order whenever the same message comes again."""

from hashlib import blake2b
from typing import Any

import msgspec
from msgspec import Struct, field

from atp.mapping.quantities import UNITS_MAX
from atp.mapping.reasons import Refusal, Refused, shown
from atp.mapping.scopes import Scope
from atp.mapping.versions import Stamp

#: Types of the contract by the kind a mapping names.
TYPES = {
    "level": "atp.stock.level.v1",
    "delta": "atp.stock.delta.v1",
    "touch": "atp.stock.touch.v1",
    "snapshot": "atp.stock.snapshot.v1",
}

#: Lines of one event (CONTRACT "NATS").
LINES_MAX = 1_000

#: Characters of an id before it is numbered; a ce-id has 256.
ID_MAX = 240


class Event(Struct):
    """One event, ready to be published on ``stock.v1.<source>``."""

    source: str
    id: str
    type: str
    data: dict[str, Any]
    sequence: int | None = None
    time: str = ""
    weak: bool = False  # the id is a digest of the content: two different events may share it, or one have two

    def encoded(self) -> bytes:
        """The data as JSON."""
        return msgspec.json.encode(self.data)


class Mapped(Struct):
    """What one message yields."""

    events: list[Event]
    skipped: dict[str, int] = field(default_factory=dict)  # rows left out on purpose, by reason


#: Reasons that are told apart; they may repeat a vendor's values, of which there may be any number.
_REASONS_MAX = 100


def count(skipped: dict[str, int], reason: str, by: int = 1) -> None:
    """Count rows that were left out; those without a reason belong to another rule."""
    if not reason:
        return
    if reason not in skipped and len(skipped) >= _REASONS_MAX:
        reason = "other reasons"
    skipped[reason] = skipped.get(reason, 0) + by


class Found(Struct):
    """One line as a rule found it."""

    kind: str
    id: str
    weak: bool
    stamp: Stamp
    sku: str
    location: str
    quantity: int
    measure: str
    reason: str
    add: bool  # to another line of the same position
    row: Scope  # where it stood

    def line(self) -> dict[str, Any]:
        """As it stands in the event."""
        line: dict[str, Any] = {"sku": self.sku, "location": self.location, "quantity": self.quantity}
        if self.measure:
            line["measure"] = self.measure
        if self.reason:
            line["reason"] = self.reason
        return line


def gather(source: str, found: list[Found]) -> list[Event]:
    """Events of all lines: those with one kind, id, version and measure travel together, in the order they came.

    Events that would share an id are numbered, so that none passes for the repeat of another. Raises Refused.
    """
    if len(found) == 1 and found[0].kind != "touch":  # a webhook, or a line of a file
        one = found[0]
        return [
            Event(
                source, one.id, TYPES[one.kind], {"lines": [one.line()]}, one.stamp.sequence, one.stamp.time, one.weak
            )
        ]
    groups: dict[tuple[str, str, Stamp, str, int], list[Found]] = {}
    for number, line in enumerate(found):
        alone = number if line.kind == "touch" else -1
        groups.setdefault((line.kind, line.id, line.stamp, line.measure, alone), []).append(line)
    events: list[Event] = []
    for (kind, _, stamp, _, _), lines in groups.items():
        if kind == "touch":
            one = lines[0]
            data = {"sku": one.sku} | ({"location": one.location} if one.location else {})
            events.append(Event(source, one.id, TYPES[kind], data, stamp.sequence, stamp.time, one.weak))
            continue
        if kind == "level":
            lines = _distinct(lines)
        for start in range(0, len(lines), LINES_MAX):
            data = {"lines": [line.line() for line in lines[start : start + LINES_MAX]]}
            first = lines[0]
            events.append(Event(source, first.id, TYPES[kind], data, stamp.sequence, stamp.time, first.weak))
    _number(events)
    return events


def _distinct(lines: list[Found]) -> list[Found]:
    """One line for each position; two contradict each other unless the mapping says that they add up."""
    kept: dict[tuple[str, str], Found] = {}
    for line in lines:
        before = kept.setdefault((line.sku, line.location), line)
        if before is line:
            continue
        if not line.add:
            raise Refused(
                Refusal.DUPLICATE_LINE,
                f"{before.row.where} and {line.row.where} are both for {shown(line.sku)} at {shown(line.location)}; "
                f'if they add up, say combine = "sum"',
            )
        before.quantity += line.quantity
        if abs(before.quantity) > UNITS_MAX:
            raise Refused(Refusal.INVALID_QUANTITY, f"{line.row.where}: the sum so far is beyond {UNITS_MAX} units")
    return list(kept.values())


def _number(events: list[Event]) -> None:
    taken = {event.id for event in events}
    if len(taken) == len(events):
        return
    seen: dict[str, int] = {}
    for event in events:
        id, number = event.id, seen.get(event.id, 0) + 1
        while number > 1 and f"{id}~{number}" in taken:  # by a vendor that numbers the same way
            number += 1
        seen[id] = number
        if number > 1:
            event.id = f"{id}~{number}"
            taken.add(event.id)


def digest_of(*parts: str) -> str:
    """A digest of texts that may stand in an id."""
    hasher = blake2b(digest_size=16)
    for part in parts:
        hasher.update(b"%d:" % len(raw := part.encode()))
        hasher.update(raw)
    return hasher.hexdigest()
