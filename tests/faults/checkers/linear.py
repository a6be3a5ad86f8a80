"""C4: is there one order of a sku's operations that explains every answer, and in which none is out of its time?

The search of Wing and Gong with Lowe's improvement: operations are taken up as they begin and must have had their
place in the order when they end. What is carried along is the set of all (units free, operations already placed) that
agree with the answers so far; it is empty exactly when no order does. So the window of the search is what is under way
at once, however long the history is. An operation whose fate nobody learned is concurrent with everything after it,
unless the journal says when it took effect. Of operations that do the same, only the one that ends first needs to be
tried.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal

from msgspec import Struct

from atp.domain.entries import AnyEntry, DeltaApplied, Expired, Held, Released
from tests.faults.history import Op

from .violation import Violation

#: Beyond this many states the search gives up; a check that does not end proves nothing.
STATES_MAX = 200_000

#: An entry's time is that of the batch by the ledger's clock, which is ours; a batch takes effect within this time.
_BATCH_S = 0.25

#: What is told of a contradiction's neighbourhood.
_NEAR_S, _SHOWN = 1.0, 40


class Event(Struct, frozen=True):
    """An operation on one sku: ``take`` needs that many units and takes them, ``lack`` says that there are fewer.

    ``give`` puts units back. ``free`` is what a ``lack`` said was there, -1 if it did not. Times in seconds.
    """

    what: Literal["take", "lack", "give"]
    units: int
    began: float
    ended: float = math.inf
    free: int = -1
    name: str = ""

    def after(self, free: int) -> int:
        """Units free behind it, or -1 if it cannot stand here."""
        if self.what == "give":
            return free + self.units
        if self.what == "take":
            return free - self.units  # below zero: not here
        return free if free < self.units and self.free in (-1, free) else -1


Place = tuple[int, frozenset[int]]  # units free, operations under way that are placed already


class Undecided(Exception):
    """Too much was unknown at once to search all orders."""


def explain(events: Sequence[Event], free: int) -> Event | None:
    """The first operation that no order explains, or None when there is one. Raises Undecided."""
    moments = sorted(
        [(event.began, 0, number) for number, event in enumerate(events)]
        + [(event.ended, 1, number) for number, event in enumerate(events) if event.ended < math.inf]
    )
    places: set[Place] = {(free, frozenset())}
    open: set[int] = set()
    for _, ends, number in moments:
        if not ends:
            open.add(number)
            continue
        places = _with(events, places, open, number)
        if not places:
            return events[number]
        open.discard(number)
        places = {(units, placed - {number}) for units, placed in places}
    return None


def _with(events: Sequence[Event], places: set[Place], open: set[int], number: int) -> set[Place]:
    """All that the places can become by placing open operations, as long as ``number`` is placed in the end."""
    seen, found, stack = set(places), set(), list(places)
    while stack:
        free, placed = stack.pop()
        if number in placed:
            found.add((free, placed))
            continue
        for candidate in _candidates(events, open - placed):
            after = events[candidate].after(free)
            place = (after, placed | {candidate})
            if after >= 0 and place not in seen:
                seen.add(place)
                stack.append(place)
        if len(seen) > STATES_MAX:
            raise Undecided(f"more than {STATES_MAX} orders at {events[number]}")
    return found


def _candidates(events: Sequence[Event], open: Iterable[int]) -> Iterator[int]:
    """Of operations that do the same, the one that ends first: if any may stand next, that one may."""
    first: dict[tuple[str, int, int], int] = {}
    for number in open:
        event = events[number]
        slot = (event.what, event.units, event.free)
        best = first.get(slot)
        if best is None or (event.ended, number) < (events[best].ended, best):
            first[slot] = number
    return iter(first.values())


def events_of(
    ops: Iterable[Op], entries: Iterable[AnyEntry], clock_offset: float, slack_s: float = 0.0
) -> dict[str, list[Event]]:
    """By sku: what callers were answered, and when; of what nobody was told, the journal says whether and when it was.

    That is so for expiry, for stock events, and for operations that stayed unknown. ``clock_offset`` is what the wall
    clock is ahead of the callers' one, ``slack_s`` what the ledger's clock may have been behind.
    """
    late_s = _BATCH_S + slack_s
    took: dict[tuple[type, str], float] = {}
    found: dict[str, list[Event]] = defaultdict(list)
    for entry in entries:
        at = entry.at / 1000 - clock_offset
        if isinstance(entry, Held | Released):
            took[type(entry), entry.reservation.id] = at
        elif isinstance(entry, DeltaApplied):
            found[entry.sku].append(Event("give", entry.quantity, at - _BATCH_S, at + late_s, name=f"{entry.seq}"))
        elif isinstance(entry, Expired):
            for line in entry.reservation.lines:
                units = sum(a.expired for a in line.allocations)
                found[line.sku].append(Event("give", units, at - _BATCH_S, at + late_s, name=f"{entry.seq}"))
    for op in ops:
        ended = op.ended
        if op.outcome == "unknown" and op.kind in ("reserve", "release"):
            entry_at = took.get((Held if op.kind == "reserve" else Released, op.id))
            if entry_at is None:
                continue  # nothing came of it
            ended = entry_at + late_s
        for sku, units in op.lines.items():
            if op.kind == "reserve" and op.outcome != "refused":
                found[sku].append(Event("take", units, op.began, ended, name=op.key))
            elif op.kind == "reserve":
                found[sku].append(Event("lack", units, op.began, ended, -1 if op.free is None else op.free, op.key))
            elif op.kind == "release" and op.outcome != "refused":
                found[sku].append(Event("give", units, op.began, ended, name=op.key))
    return found


def check_order(histories: Mapping[str, Sequence[Event]], free: Mapping[str, int]) -> Iterator[Violation]:
    """Each sku's history, beginning with ``free`` units."""
    for sku, units in free.items():
        try:
            wrong = explain(histories.get(sku, ()), units)
        except Undecided as problem:
            yield Violation("C4", "wrong", f"{sku}: {problem}")
            continue
        if wrong is not None:
            yield Violation(
                "C4", "wrong", f"{sku}: no order explains {_line(wrong, wrong.began)}; {_around(wrong, histories[sku])}"
            )


def _around(wrong: Event, events: Iterable[Event]) -> str:
    """What ended shortly before or was under way with it, newest first."""
    near = [e for e in events if e is not wrong and e.began < wrong.ended and e.ended > wrong.began - _NEAR_S]
    return "around it: " + ", ".join(_line(e, wrong.began) for e in sorted(near, key=lambda e: -e.began)[:_SHOWN])


def _line(event: Event, zero: float) -> str:
    span = f"{event.began - zero:+.3f} to {event.ended - zero:+.3f} s"
    return f"{event.name} {event.what} {event.units} ({span}{f', {event.free} free' if event.free >= 0 else ''})"
