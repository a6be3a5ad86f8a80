"""Moves: what changed facts of allocations change beside them, told once for each position (R1, R8, R9).

Whoever changes an allocation watches it before. What its tallies meant then and what they mean afterwards differ by
units that a source's number is net of, by units that left and a level may not show yet, by units that were not found,
and by units that others shipped; all of them move by the difference.
"""

from msgspec import structs

from atp.domain.entries import DeltaApplied, ShipmentNoted, UnitsSetAside
from atp.domain.order_commands import TellOrder
from atp.domain.records import Allocation, Version
from atp.domain.rules.asides import note
from atp.domain.rules.batch import Batch
from atp.domain.rules.memory import DATED, change
from atp.domain.rules.shipping import ship
from atp.domain.state import SHIPPED_BUCKET_MS, SourceNumber
from atp.domain.tallies import Step, find_tally, most_live, standing, told_units


class Moves:
    """``c`` is the event that changes them, None for a call; ``cause`` is what the entries name.

    ``ships`` is a call whose own entry says what left in this minute.
    """

    def __init__(self, batch: Batch, cause: str, c: TellOrder | None = None, *, ships: bool = False) -> None:
        self.batch, self.cause, self.c, self._ships = batch, cause, c, ships
        self._now = batch.now // SHIPPED_BUCKET_MS * SHIPPED_BUCKET_MS
        self._watched: dict[int, tuple[str, Allocation, Allocation]] = {}
        self._numbers: dict[tuple[str, str, str, Version], int] = {}
        self._shipped: dict[tuple[str, str, int], int] = {}
        self._missing: dict[tuple[str, str, str, Version], int] = {}

    def watch(self, sku: str, a: Allocation) -> None:
        """Remember what the allocation is before its first change."""
        if id(a) not in self._watched:
            tallies = [structs.replace(t) for t in a.tallies]
            self._watched[id(a)] = sku, a, structs.replace(a, tallies=tallies)

    def commit(self, sku: str, a: Allocation, units: int) -> None:
        """More units are promised for good; what was acknowledged before is none of them."""
        live = most_live(a)
        if a.tallies and units:
            self.watch(sku, a)
        a.committed += units
        if a.tallies:
            a.gone += max(0, most_live(a) - live)

    def ship(self, sku: str, location: str, minute: int, units: int) -> None:
        """Units left by the word of others; negative ones are shown by now."""
        if units and sku not in self.batch.foreign:
            key = sku, location, minute
            self._shipped[key] = self._shipped.get(key, 0) + units

    def miss(self, sku: str, location: str, source: str, version: Version, units: int) -> None:
        """Units were not found; a level of the version knows it."""
        if units and sku not in self.batch.foreign:
            key = sku, location, source, version
            self._missing[key] = self._missing.get(key, 0) + units

    def settle(self) -> None:
        """Let everything follow from what the watched allocations are now."""
        watched, self._watched = self._watched, {}
        for sku, a, before in watched.values():
            a.acknowledged = min(a.committed, most_live(a) if a.tallies else a.acknowledged)
            if sku not in self.batch.foreign:
                for tally in a.tallies:
                    if tally.source:
                        self._compare(sku, a, before, tally.source)
                self._move_told(sku, a)
        self._tell_numbers()
        self._tell_shipped()
        self._tell_missing()

    def _compare(self, sku: str, a: Allocation, before: Allocation, source: str) -> None:
        was, now = (standing(x, find_tally(x, source)) for x in (before, a))
        numbers = self.batch.position(sku, a.location).sources
        known = numbers.get(source, SourceNumber())
        if was.live or now.live:  # what is only missing tells nothing of a number
            numbers[source] = known
        count_live(known, was.live, -1)
        count_live(known, now.live, 1)
        for sums, old, new in ((self._numbers, was.left, now.left), (self._missing, was.missing, now.missing)):
            for steps, sign in ((old, -1), (new, 1)):
                for version, units in steps:
                    if not known.has_level or version > known.version:
                        key = sku, a.location, source, version
                        sums[key] = sums.get(key, 0) + sign * units

    def _move_told(self, sku: str, a: Allocation) -> None:
        """What others told of stays subtracted, but for units that the authority's number is net of, or will be."""
        if not a.told:
            return
        most, authority = told_units(a), self.batch.authority(a.location)
        counts = self.batch.source_policy(authority).measure == "available"
        if counts and not self.batch.on_fallback(sku, a.location):
            most = min(most, standing(a, find_tally(a, authority)).unmatched)
        told = list(a.told)
        for i in range(len(told) - 3, -1, -3):
            kept = min(told[i + 1], most)
            most -= kept
            self.ship(sku, a.location, told[i], kept - told[i + 2])
            told[i + 2] = kept
        a.told = told

    def _tell_numbers(self) -> None:
        """A number falls by what left, and rises again by what its level shows or is net of after all."""
        batch, c = self.batch, self.c
        sums, self._numbers = self._numbers, {}
        for (sku, location, source, version), units in sums.items():
            numbers = batch.position(sku, location).sources
            known = numbers.get(source, SourceNumber())
            units = max(units, known.recent.get(version, (version, 0))[1])  # what was forgotten does not come back
            if not units:
                continue
            numbers[source] = known
            told = c if c is not None and c.source == source else None
            change(known, DATED, version, -units)
            known.as_of = max(known.as_of, told.as_of if told else 0)
            seq = batch.next_seq()
            batch.touch(seq, [sku])
            batch.entries.append(
                DeltaApplied(
                    seq, batch.now, "", self.cause, sku, location, source, -units, known.number, version,
                    told.stream if told else "", told.position if told else 0, told.as_of if told else 0, DATED,
                    [batch.balance(sku, location)],
                )
            )  # fmt: skip

    def _tell_shipped(self) -> None:
        """Of a call the entry of its record says what left in this minute."""
        batch, c = self.batch, self.c
        sums, self._shipped = self._shipped, {}
        for (sku, location, minute), units in sums.items():
            position = batch.position(sku, location)
            units = max(units, -position.shipped.get(minute, 0))  # what a level counted is gone already
            if not units:
                continue
            ship(position, minute, units)
            if self._ships and minute == self._now and units > 0:
                continue
            seq = batch.next_seq()
            batch.touch(seq, [sku])
            batch.entries.append(
                ShipmentNoted(
                    seq, batch.now, "", self.cause, sku, location, c.source if c else "", minute, units,
                    [batch.balance(sku, location)],
                )
            )  # fmt: skip

    def _tell_missing(self) -> None:
        batch, event = self.batch, self.c.event if self.c else 0
        sums, self._missing = self._missing, {}
        for (sku, location, source, version), units in sums.items():
            units = note(batch.now, batch.position(sku, location), source, "short", units, version, event)
            if not units:
                continue
            seq = batch.next_seq()
            batch.touch(seq, [sku])
            batch.entries.append(
                UnitsSetAside(
                    seq, batch.now, "", self.cause, sku, location, source, units, version, self._now, event,
                    [batch.balance(sku, location)],
                )
            )  # fmt: skip


def count_live(known: SourceNumber, live: list[Step], sign: int) -> None:
    """Units that a source's number is net of, or will be from a version on."""
    for version, units in live:
        if version <= known.version:
            known.included += sign * units
        else:
            known.pending[version] = known.pending.get(version, 0) + sign * units
            if not known.pending[version]:
                del known.pending[version]
