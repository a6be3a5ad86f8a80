"""Telling: one event about an order on its way through the order's reservations, and through the stock."""

from typing import Literal

from atp.domain.commands import Delta
from atp.domain.entries import Acknowledged, DeltaApplied, Fulfilled, Released
from atp.domain.order_commands import OrderLine, TellOrder
from atp.domain.records import Allocation, Line, Reservation, Version
from atp.domain.rules import shortage
from atp.domain.rules.allocations import move
from atp.domain.rules.batch import Batch
from atp.domain.rules.exceptions import raise_exception
from atp.domain.rules.inclusion import acknowledge, may_acknowledge
from atp.domain.rules.lifecycle import remember
from atp.domain.rules.limits import count_held, count_sold
from atp.domain.rules.memory import change
from atp.domain.rules.moves import Moves
from atp.domain.rules.shipping import end_told, note_told
from atp.domain.rules.stock import change_number
from atp.domain.state import SHIPPED_BUCKET_MS, SourceNumber
from atp.domain.tallies import add, tally_of, told_units

State = Literal["committed", "held"]

#: Which units an event takes first: those promised where it happened, then those of the order elsewhere.
POOLS: tuple[tuple[State, bool], ...] = (("committed", True), ("held", True), ("committed", False), ("held", False))


class Telling:
    """``began`` is when it was told first, ms; ``again`` when only its order part is left to do.

    Units that the order has are kept with its allocations (``domain/tallies``), and what follows for the stock moves
    when all of them are known. The others change the stock by the event itself, once.
    """

    def __init__(self, batch: Batch, c: TellOrder, version: Version, began: int, *, again: bool = False) -> None:
        self.batch, self.c, self.version, self.again = batch, c, version, again
        self.found_any = False
        self._minute = began // SHIPPED_BUCKET_MS * SHIPPED_BUCKET_MS
        self._moves = Moves(batch, c.cause, c)
        self._others: dict[tuple[str, str], int] = {}  # units at a position that no allocation accounts for
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
            self._count_others()
            self._finish()
            if c.complete:
                self._release_rest(records)
        else:
            for short in (False, True):
                for line in [x for x in lines if x.short is short]:
                    self._keep_left(left, line, self._cancel(records, line))
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
        changes = [key for r in records for key, _ in r.changes]
        known = self.c.what == "fulfilled" and self.c.shipment in changes
        committed = any(a.committed for _, a in allocations)
        found: dict[str, int] = {}
        for sku, a in allocations:
            if self.c.what == "acknowledged":
                units = may_acknowledge(self.batch, sku, a, self.c.source)
            elif self.c.what == "cancelled":
                units = a.committed + a.held
            else:
                units = 0 if known else a.committed if committed else a.held
                units += told_units(a) if self._mine(a.location) else a.ahead
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

    def _other(self, sku: str, location: str, units: int) -> None:
        if units and sku not in self.batch.foreign:
            self._others[sku, location] = self._others.get((sku, location), 0) + units

    def _place_of(self, records: list[Reservation], line: OrderLine) -> str:
        """Where units happened to be that the order does not have; "" if nobody can tell, or it was told before."""
        if self.again:
            return ""
        drawn = [a.location for r in records for x in r.lines if x.sku == line.sku for a in x.allocations]
        return line.location or next(iter(drawn), "")

    # -- fulfilled -----------------------------------------------------------------------------------------------------

    def _ship(self, records: list[Reservation], line: OrderLine) -> int:
        rest = line.quantity
        if self.c.lines and self.c.shipment:
            rest -= self._counted_before(records, line)
        place, elsewhere = self._place_of(records, line), 0
        rest -= self._told_before(records, line, rest)
        for state, near in POOLS:
            for r in records:
                for x in [x for x in r.lines if x.sku == line.sku]:
                    for a in x.allocations:
                        if near == (line.location in ("", a.location)) and (units := min(rest, getattr(a, state))):
                            rest -= units
                            elsewhere += 0 if near else units
                            self._ship_units(r, x, a, state, units, line)
        if place:
            self._other(line.sku, place, rest + elsewhere)
        return rest

    def _is_told(self, r: Reservation) -> bool:
        """Whether the same shipment was told of before: by the authority, if it is now, else by others."""
        mine = int(any(self._mine(a.location) for x in r.lines for a in x.allocations))
        return (self.c.shipment, mine) in [tuple(change) for change in r.changes]

    def _counted_before(self, records: list[Reservation], line: OrderLine) -> int:
        """Units of the line that the same shipment brought before: they have no effect again."""
        told = [r for r in records if self._is_told(r)]
        known = sum(a.fulfilled for r in told for x in r.lines if x.sku == line.sku for a in x.allocations)
        return min(line.quantity, known)

    def _told_before(self, records: list[Reservation], line: OrderLine, rest: int) -> int:
        """Units of which others told before, now by the authority, or the other way round: they are the same."""
        taken = 0
        for r in records:
            for x in [x for x in r.lines if x.sku == line.sku and x.sku not in self.batch.foreign]:
                for a in x.allocations:
                    if line.location not in ("", a.location):
                        continue
                    if self._mine(a.location):
                        units = self._end_told(x, a, rest - taken)
                    else:
                        units = min(a.ahead, rest - taken)
                        a.ahead -= units
                    if units:
                        taken += units
                        self._change(r)
                        self._untell(x.sku, a.location, units, line)
        return taken

    def _end_told(self, x: Line, a: Allocation, most: int) -> int:
        """The authority's number shows from here on what others told of."""
        if not a.told or not most:
            return 0
        self._moves.watch(x.sku, a)
        ended = end_told(a, most)
        for minute, _, kept in ended:
            self._moves.ship(x.sku, a.location, minute, -kept)
        units = sum(units for _, units, _ in ended)
        self._tally_shipped(a, units)
        return units

    def _tally_shipped(self, a: Allocation, units: int) -> None:
        tally = tally_of(a, self.c.source)
        tally.shipped = add(tally.shipped, units, self.version)

    def _ship_units(self, r: Reservation, x: Line, a: Allocation, state: State, units: int, line: OrderLine) -> None:
        place = line.location or a.location
        self._leave(r, x, a, state, units)
        a.fulfilled += units
        self._change(r)
        if a.location != place:
            raise_exception(
                self.batch, "shipped-elsewhere", self.c.cause, x.sku, place, self.c.source, r.id, a.location
            )
        elif x.sku in self.batch.foreign:
            if not line.location:  # a leg elsewhere ships what others tell of; its own partition has heard of the rest
                note_told(a, self._minute, units, units)
        elif not self._mine(place):
            note_told(a, self._minute, units, 0)
            self._untell(x.sku, place, units, line)
        elif not self._is_elsewhere(line):
            self._tally_shipped(a, units)
            a.ahead += units
            self._untell(x.sku, place, units, line)

    def _is_elsewhere(self, line: OrderLine) -> bool:
        """Whether what happened to the stock is told to its own partition."""
        return self.c.part == "order" and line.location != ""

    def _leave(self, r: Reservation, x: Line, a: Allocation, state: State, units: int) -> None:
        """Take units out of a state."""
        self._moves.watch(x.sku, a)
        setattr(a, state, getattr(a, state) - units)
        move(self.batch, x, a, **{state: -units})
        if state == "held":
            count_held(self.batch, r, x.sku, -units)

    def _untell(self, sku: str, location: str, units: int, line: OrderLine) -> None:
        """What counted by the event itself before there was an order counts with its allocations now."""
        c, batch = self.c, self.batch
        if not self.again or not line.location:
            return
        if not self._mine(location):
            self._moves.ship(sku, location, self._minute, -units)
            return
        known = batch.position(sku, location).sources.get(c.source) or SourceNumber()
        if c.event in known.recent:
            change(known, c.event, self.version, units)
            self._tell_number(sku, location, units, known)

    def _tell_number(self, sku: str, location: str, quantity: int, known: SourceNumber) -> None:
        c, batch = self.c, self.batch
        seq = batch.next_seq()
        batch.touch(seq, [sku])
        batch.entries.append(
            DeltaApplied(
                seq, batch.now, "", c.cause, sku, location, c.source, quantity, known.number, self.version,
                c.stream, c.position, c.as_of, c.event, [batch.balance(sku, location)],
            )
        )  # fmt: skip

    def _count_others(self) -> None:
        """The authority's own number falls, unless its level shows it; others' word waits for that level."""
        c = self.c
        others, self._others = self._others, {}
        for (sku, location), units in others.items():
            if not self._mine(location):
                self._moves.ship(sku, location, self._minute, units)
                continue
            told = Delta(
                sku, location, c.source, -units, c.version_kind, c.version, c.stream, c.position, c.as_of, c.event,
                c.cause,
            )  # fmt: skip
            known, changed = change_number(self.batch, told, self.version)
            if changed:
                self._tell_number(sku, location, -units, known)

    # -- cancelled, and the rest of what is complete -------------------------------------------------------------------

    def _cancel(self, records: list[Reservation], line: OrderLine) -> int:
        rest = line.quantity
        place, elsewhere = self._place_of(records, line), 0
        for state, near in POOLS:
            for r in records:
                for x in [x for x in r.lines if x.sku == line.sku]:
                    for a in x.allocations:
                        if near == (line.location in ("", a.location)) and (units := min(rest, getattr(a, state))):
                            rest -= units
                            elsewhere += 0 if near else units
                            self._release(r, x, a, state, units, line)
        if line.short and place:
            self._miss(line.sku, place, rest + elsewhere)
        return rest

    def _release(self, r: Reservation, x: Line, a: Allocation, state: State, units: int, line: OrderLine) -> None:
        self._leave(r, x, a, state, units)
        a.released += units
        a.gone += units if state == "committed" or line.short else 0
        count_sold(self.batch, r, x.sku, -units)
        self._change(r)
        if not line.short or line.location not in ("", a.location) or self._is_elsewhere(line):
            return
        if a.supply and not line.location:
            return  # nobody looks on a shelf for what is still to come
        if self._mine(a.location) and x.sku not in self.batch.foreign:
            tally = tally_of(a, self.c.source)
            tally.short = add(tally.short, units, self.version)
            if self.again and line.location:
                self._miss(x.sku, a.location, -units)
        elif not (self.again and line.location):
            self._miss(x.sku, a.location, units)

    def _miss(self, sku: str, location: str, units: int) -> None:
        """What was not found stays subtracted, unless the authority's level knows of it already."""
        if not units or sku in self.batch.foreign:
            return
        known = self.batch.position(sku, location).sources.get(self.c.source)
        if not (self._mine(location) and known and known.has_level and self.version <= known.version):
            self._moves.miss(sku, location, self.c.source, self.version, units)

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
        self._finish("short")

    # -- acknowledged --------------------------------------------------------------------------------------------------

    def _acknowledge(self, records: list[Reservation], line: OrderLine) -> int:
        """Of more than there is, the lowest versions count: so the rest is kept, too, if it does not wait."""
        rest = line.quantity
        near = [
            (r, x, a)
            for r in records
            for x in r.lines
            if x.sku == line.sku
            for a in x.allocations
            if line.location in ("", a.location)
        ]
        for r, x, a in near:
            if units := min(rest, may_acknowledge(self.batch, x.sku, a, self.c.source)):
                rest -= units
                self._count(r, x, a, units)
        if rest and near and not self.holds_any(records):
            self._count(*near[0], rest)
        return rest

    def _count(self, r: Reservation, x: Line, a: Allocation, units: int) -> None:
        self._moves.watch(x.sku, a)
        acknowledge(self.batch, x.sku, a, self.c.source, self.version, units)
        self._change(r)

    # -- what every part ends with -------------------------------------------------------------------------------------

    def _finish(self, reason: str = "") -> None:
        """Remember the event in the records that it changed, and log them; ``reason`` is why units were released."""
        self._moves.settle()
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
