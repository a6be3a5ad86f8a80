"""Telling: one event about an order on its way through the order's reservations, and through the stock."""

from typing import Literal

from atp.domain.commands import Delta
from atp.domain.entries import Acknowledged, DeltaApplied, Fulfilled, Released, ShipmentNoted
from atp.domain.order_commands import OrderLine, TellOrder
from atp.domain.records import Allocation, Line, Reservation, Version
from atp.domain.rules import shortage
from atp.domain.rules.allocations import move
from atp.domain.rules.asides import set_aside
from atp.domain.rules.batch import Batch
from atp.domain.rules.exceptions import raise_exception
from atp.domain.rules.inclusion import count, uncount
from atp.domain.rules.lifecycle import remember
from atp.domain.rules.limits import count_held, count_sold
from atp.domain.rules.shipping import end_told, note_told, ship, told_units
from atp.domain.rules.stock import change_number
from atp.domain.state import SHIPPED_BUCKET_MS

State = Literal["committed", "held"]

#: Which units an event takes first: those promised where it happened, then those of the order elsewhere.
POOLS: tuple[tuple[State, bool], ...] = (("committed", True), ("held", True), ("committed", False), ("held", False))

#: Units that left or are missing at a position, and how many of them its number was net of already.
Effects = dict[tuple[str, str], list[int]]


class Telling:
    """``began`` is when it was told first, ms; ``again`` when only its order part is left to do."""

    def __init__(self, batch: Batch, c: TellOrder, version: Version, began: int, *, again: bool = False) -> None:
        self.batch, self.c, self.version, self.again = batch, c, version, again
        self.found_any = False
        self._minute = began // SHIPPED_BUCKET_MS * SHIPPED_BUCKET_MS
        self._effects: Effects = {}
        self._changed: dict[str, Reservation] = {}

    def tell(self, records: list[Reservation]) -> list[OrderLine]:
        """Take the units; returns the lines, with what of them no reservation had."""
        c = self.c
        lines = c.lines or self._all(records)
        before = self._before(records, lines)
        left: list[OrderLine] = []
        if c.what == "acknowledged":
            for line in lines:
                self._keep_left(left, line, self._acknowledge(records, line))
            self._finish()
        elif c.what == "fulfilled":
            for line in lines:
                self._keep_left(left, line, self._ship(records, line))
            self._count_shipped()
            self._finish()
            if c.complete:
                self._release_rest(records)
        else:
            for short in (False, True):
                for line in [x for x in lines if x.short is short]:
                    self._keep_left(left, line, self._cancel(records, line))
                self._count_short()
                self._finish("short" if short else "customer")
        for (sku, location), units in before.items():
            shortage.report(self.batch, sku, location, c.cause, units)
        return left

    def is_done(self, records: list[Reservation]) -> bool:
        """Whether the order, told of as a whole, is what the event says already."""
        kinds = {"fulfilled": "fulfilled", "cancelled": "released", "acknowledged": "acknowledged"}
        return any(getattr(a, kinds[self.c.what]) for r in records for x in r.lines for a in x.allocations)

    def holds_any(self, records: list[Reservation]) -> bool:
        """Whether units of the order are held: they may be confirmed yet."""
        return any(a.held for r in records for x in r.lines for a in x.allocations)

    # -- which units ---------------------------------------------------------------------------------------------------

    def _all(self, records: list[Reservation]) -> list[OrderLine]:
        """Everything that the event may speak of, as lines without a location."""
        allocations = [(x.sku, a) for r in records for x in r.lines for a in x.allocations]
        known = self.c.what == "fulfilled" and any(self._shipment_of(r) is not None for r in records)
        committed = any(a.committed for _, a in allocations)
        found: dict[str, int] = {}
        for sku, a in allocations:
            if self.c.what == "acknowledged":
                units = a.committed - a.acknowledged
            elif self.c.what == "cancelled":
                units = a.committed + a.held
            else:
                units = 0 if known else a.committed if committed else a.held
                units += told_units(a) if self._mine(a.location) else 0
            found[sku] = found.get(sku, 0) + units
        return [OrderLine(sku, units) for sku, units in found.items() if units]

    def _before(self, records: list[Reservation], lines: list[OrderLine]) -> dict[tuple[str, str], int]:
        """What was unpromised at the positions whose stock the event may change."""
        places: list[tuple[str, str]] = []
        for line in lines:
            if self.c.what == "fulfilled" or line.short:
                if line.location and not self.again:
                    places.append((line.sku, line.location))
                elif not line.location:
                    drawn = [x for r in records for x in r.lines if x.sku == line.sku]
                    places += [(x.sku, a.location) for x in drawn for a in x.allocations]
        here = [place for place in dict.fromkeys(places) if place[0] not in self.batch.foreign]
        return {(sku, at): shortage.unpromised(self.batch, sku, at) for sku, at in here}

    @staticmethod
    def _keep_left(left: list[OrderLine], line: OrderLine, units: int) -> None:
        if units:
            left.append(OrderLine(line.sku, units, line.location, line.short))

    def _mine(self, location: str) -> bool:
        """Whether the number that sells there is the teller's own."""
        return self.c.source == self.batch.authority(location)

    def _change(self, r: Reservation) -> None:
        self.found_any = True
        self._changed[r.id] = r

    def _effect(self, sku: str, location: str, units: int, shown: int) -> None:
        effect = self._effects.setdefault((sku, location), [0, 0])
        effect[0] += units
        effect[1] += shown

    # -- fulfilled -----------------------------------------------------------------------------------------------------

    def _ship(self, records: list[Reservation], line: OrderLine) -> int:
        rest = line.quantity
        if self.c.lines and self.c.shipment:
            rest -= self._counted_before(records, line)
        if line.location and not self.again:
            self._effect(line.sku, line.location, rest, 0)
        rest -= self._told_before(records, line, rest)
        for state, near in POOLS:
            for r in records:
                for x in [x for x in r.lines if x.sku == line.sku]:
                    for a in x.allocations:
                        if near == (line.location in ("", a.location)) and (units := min(rest, getattr(a, state))):
                            rest -= units
                            self._ship_units(r, x, a, state, units, line)
                            if not line.location:
                                self._effect(line.sku, a.location, units, 0)
        return rest

    def _shipment_of(self, r: Reservation) -> int | None:
        """1 if the authority told of the shipment before, 0 if others did, None if nobody."""
        told = [body for key, body in r.changes if key == self.c.shipment]
        return max(told) if told and self.c.shipment else None

    def _counted_before(self, records: list[Reservation], line: OrderLine) -> int:
        """Units of the line that the same shipment brought before, whoever told of it: they have no effect again."""
        known = 0
        for r in records:
            told = self._shipment_of(r)
            if told == 1 or (told == 0 and not (line.location and self._mine(line.location))):
                known += sum(a.fulfilled for x in r.lines if x.sku == line.sku for a in x.allocations)
        return min(line.quantity, known)

    def _told_before(self, records: list[Reservation], line: OrderLine, rest: int) -> int:
        """Units that others told of, and that the authority tells of now: its number shows them from here on."""
        taken = 0
        for r in records:
            for x in [x for x in r.lines if x.sku == line.sku and x.sku not in self.batch.foreign]:
                for a in x.allocations:
                    if line.location not in ("", a.location) or not self._mine(a.location):
                        continue
                    units, uncounted = end_told(self.batch, self.c, x.sku, a, rest - taken)
                    if units:
                        taken += units
                        self._change(r)
                        self._effect(line.sku, a.location, 0 if line.location else units, units - uncounted)
        return taken

    def _ship_units(self, r: Reservation, x: Line, a: Allocation, state: State, units: int, line: OrderLine) -> None:
        place = line.location or a.location
        shown = self._leave(r, x, a, state, units)
        a.fulfilled += units
        self._change(r)
        if a.location != place:
            raise_exception(
                self.batch, "shipped-elsewhere", self.c.cause, x.sku, place, self.c.source, r.id, a.location
            )
            return
        self._effect(x.sku, place, 0, shown)
        foreign = x.sku in self.batch.foreign
        # A leg elsewhere ships what others tell of; of a named location its own partition has heard.
        if (foreign and not line.location) or not (foreign or self._mine(place)):
            note_told(a, self._minute, units, units - shown)

    def _leave(self, r: Reservation, x: Line, a: Allocation, state: State, units: int) -> int:
        """Take units out of a state; returns how many of them the number that sells there was net of."""
        shown = uncount(self.batch, x.sku, a, units) if state == "committed" else 0
        setattr(a, state, getattr(a, state) - units)
        a.acknowledged = min(a.acknowledged, a.committed)
        move(self.batch, x, a, **{state: -units})
        if state == "held":
            count_held(self.batch, r, x.sku, -units)
        return shown

    def _count_shipped(self) -> None:
        """The authority's own number falls, unless its level shows it; others' word waits for that level."""
        c, batch = self.c, self.batch
        effects, self._effects = self._effects, {}
        for (sku, location), (units, shown) in effects.items():
            if units <= shown or sku in batch.foreign:
                continue
            if not self._mine(location):
                ship(batch.position(sku, location), self._minute, units - shown)
                seq = batch.next_seq()
                batch.touch(seq, [sku])
                batch.entries.append(
                    ShipmentNoted(
                        seq, batch.now, "", c.cause, sku, location, c.source, self._minute, units - shown,
                        [batch.balance(sku, location)],
                    )
                )  # fmt: skip
                continue
            told = Delta(
                sku, location, c.source, shown - units, c.version_kind, c.version, c.stream, c.position, c.as_of,
                c.event, c.cause,
            )  # fmt: skip
            known, changed = change_number(batch, told, self.version)
            if changed:
                seq = batch.next_seq()
                batch.touch(seq, [sku])
                batch.entries.append(
                    DeltaApplied(
                        seq, batch.now, "", c.cause, sku, location, c.source, told.quantity, known.number, self.version,
                        c.stream, c.position, c.as_of, c.event, [batch.balance(sku, location)],
                    )
                )  # fmt: skip

    # -- cancelled, and the rest of what is complete -------------------------------------------------------------------

    def _cancel(self, records: list[Reservation], line: OrderLine) -> int:
        rest = line.quantity
        if line.short and line.location and not self.again:
            self._effect(line.sku, line.location, rest, 0)
        for state, near in POOLS:
            for r in records:
                for x in [x for x in r.lines if x.sku == line.sku]:
                    for a in x.allocations:
                        if near == (line.location in ("", a.location)) and (units := min(rest, getattr(a, state))):
                            rest -= units
                            self._release(r, x, a, state, units, line)
        return rest

    def _release(self, r: Reservation, x: Line, a: Allocation, state: State, units: int, line: OrderLine) -> None:
        shown = self._leave(r, x, a, state, units)
        a.released += units
        count_sold(self.batch, r, x.sku, -units)
        self._change(r)
        if line.short and line.location in ("", a.location):
            missing = 0 if line.location or a.supply else units  # nobody looks on a shelf for what is still to come
            self._effect(x.sku, a.location, missing, shown)

    def _release_rest(self, records: list[Reservation]) -> None:
        """What the order still has at the locations of a complete shipment was not found there."""
        places = {line.location for line in self.c.lines}
        for r in records:
            for x in r.lines:
                for a in x.allocations:
                    if not places or "" in places or a.location in places:
                        for state in ("committed", "held"):
                            if units := getattr(a, state):
                                self._release(r, x, a, state, units, OrderLine(x.sku, units, short=True))
        self._count_short()
        self._finish("short")

    def _count_short(self) -> None:
        """What was not found stays subtracted, unless the authority's level knows of it already."""
        c, batch = self.c, self.batch
        effects, self._effects = self._effects, {}
        for (sku, location), (units, shown) in effects.items():
            if units <= shown or sku in batch.foreign:
                continue
            known = batch.position(sku, location).sources.get(c.source)
            if self._mine(location) and known and known.has_level and self.version <= known.version:
                continue
            set_aside(batch, sku, location, c.source, units - shown, self.version, c.event, c.cause)

    # -- acknowledged --------------------------------------------------------------------------------------------------

    def _acknowledge(self, records: list[Reservation], line: OrderLine) -> int:
        rest = line.quantity
        for r in records:
            for x in [x for x in r.lines if x.sku == line.sku]:
                for a in x.allocations:
                    units = min(rest, a.committed - a.acknowledged) if line.location in ("", a.location) else 0
                    if units:
                        rest -= units
                        a.acknowledged += units
                        count(self.batch, x.sku, a, self.c.source, self.version, units)
                        self._change(r)
        return rest

    # -- what every part ends with -------------------------------------------------------------------------------------

    def _finish(self, reason: str = "") -> None:
        """Remember the event in the records that it changed, and log them; ``reason`` is why units were released."""
        batch, c = self.batch, self.c
        changed, self._changed = self._changed, {}
        for r in changed.values():
            if all(key != c.event for key, _ in r.changes):
                remember(r, c.event, 0)
            if c.shipment and not reason:
                mine = any(self._mine(a.location) for x in r.lines for a in x.allocations)
                remember(r, c.shipment, int(mine))
            batch.keep(r)
            common = (r.seq, batch.now, "", c.cause, *batch.after(r))
            if reason:
                batch.entries.append(Released(*common, reason))
            else:
                batch.entries.append(Acknowledged(*common) if c.what == "acknowledged" else Fulfilled(*common))
