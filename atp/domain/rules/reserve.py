"""Reserve: hold units of every line, or of none (DESIGN §4 "Reserve").

Lines that name a location draw there. The others are sourced by rank: the first location that covers all of them,
else per line the first that covers it whole, else filled by rank (R38).
"""

from collections import defaultdict
from copy import deepcopy

from atp.domain.commands import Reserve, ReserveLine
from atp.domain.entries import Held
from atp.domain.ids import identity_of
from atp.domain.outcomes import Outcome
from atp.domain.records import GRACE_MS, Allocation, Line, Reservation, Shortfall
from atp.domain.results import Result
from atp.domain.rules.batch import Batch
from atp.domain.state import REFUSED_MAX, REFUSED_MS, Position, Refusal

#: Other locations named in a refusal.
OTHERS_MAX = 10


def reserve(batch: Batch, c: Reserve) -> Result:
    """Decide a basket as one atomic reading; the same id again finds its first decision."""
    state = batch.state
    _rotate_refusals(batch)
    identity = identity_of(c.id)
    if (known := state.reservations.get(identity)) is not None:
        if known.fingerprint != c.fingerprint or known.id != c.id:
            return Result(Outcome.KEY_REUSED, state.seq)
        return Result(Outcome.REPLAYED, known.seq, deepcopy(known), replayed=True)
    if (refusal := state.refused.get(identity) or state.refused_before.get(identity)) is not None:
        if refusal.fingerprint != c.fingerprint:
            return Result(Outcome.KEY_REUSED, state.seq)
        return Result(refusal.outcome, state.seq, None, refusal.shortfalls, refusal.detail, replayed=True)
    for index, line in enumerate(c.lines):
        if line.location and batch.location(line.location) is None:
            return Result(Outcome.UNKNOWN_LOCATION, state.seq, detail=str(index))
    taking = _Taking(batch)
    if shortfalls := taking.shortfalls(c.lines):
        if batch.due_left:
            return Result(Outcome.AGAIN, state.seq)
        state.refused[identity] = Refusal(c.fingerprint, Outcome.INSUFFICIENT, shortfalls, "")
        return Result(Outcome.INSUFFICIENT, state.seq, None, shortfalls)
    return _hold(batch, c, taking.source(c.lines))


def _hold(batch: Batch, c: Reserve, drawn: list[list[tuple[str, int]]]) -> Result:
    seq = batch.next_seq()
    lines = [
        Line(line.line_id, line.sku, line.quantity, [Allocation(at, "", q, 0) for at, q in draws])
        for line, draws in zip(c.lines, drawn, strict=True)
    ]
    reservation = Reservation(
        c.id, batch.now, batch.now + c.ttl_ms, seq, seq, c.fingerprint, c.client, c.channel, c.customer,
        c.order_ref, c.campaign, c.metadata, lines, [],
    )  # fmt: skip
    for line in lines:
        for a in line.allocations:
            batch.sku(line.sku).positions.setdefault(a.location, Position()).held += a.held
    batch.state.reservations[identity_of(c.id)] = reservation
    batch.state.due[c.id] = reservation.expires_at + GRACE_MS
    copy, balances = batch.after(reservation)
    batch.entries.append(Held(seq, batch.now, c.client, c.cause, copy, balances))
    return Result(Outcome.APPLIED, seq, copy)


class _Taking:
    """Free units of one reading, less what earlier lines of the same basket take."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.taken: dict[tuple[str, str], int] = defaultdict(int)

    def free(self, sku: str, location: str) -> int:
        policy = self.batch.location(location)
        if policy is None or not policy.active:
            return 0
        return max(0, self.batch.balance(sku, location).free - self.taken[sku, location])

    def take(self, sku: str, location: str, quantity: int) -> None:
        self.taken[sku, location] += quantity

    def fill(self, sku: str, quantity: int) -> list[tuple[str, int]]:
        """Draw by rank until the quantity is met or nothing is left."""
        draws = []
        for location in self.batch.ranked(sku):
            if quantity and (units := min(quantity, self.free(sku, location))):
                self.take(sku, location, units)
                draws.append((location, units))
                quantity -= units
        return draws

    def shortfalls(self, lines: list[ReserveLine]) -> list[Shortfall]:
        """Lines that cannot be met; located lines draw first, since they have no other place to go."""
        found: dict[int, Shortfall] = {}
        for index, line in enumerate(lines):
            if line.location:
                available = self.free(line.sku, line.location)
                if available < line.quantity:
                    found[index] = self._shortfall(index, line, available)
                else:
                    self.take(line.sku, line.location, line.quantity)
        for index, line in enumerate(lines):
            if not line.location:
                available = sum(self.free(line.sku, at) for at in self.batch.ranked(line.sku))
                if available < line.quantity:
                    found[index] = self._shortfall(index, line, available)
                else:
                    self.fill(line.sku, line.quantity)
        return [found[index] for index in sorted(found)]

    def _shortfall(self, index: int, line: ReserveLine, available: int) -> Shortfall:
        ranked = self.batch.ranked(line.sku)
        asked = [line.location] if line.location else ranked
        held = sum(self.batch.balance(line.sku, at).held for at in asked)
        others = [(at, free) for at in ranked if at not in asked and (free := self.free(line.sku, at)) > 0]
        return Shortfall(index, line.sku, line.quantity, available, held, others[:OTHERS_MAX])

    def source(self, lines: list[ReserveLine]) -> list[list[tuple[str, int]]]:
        """Where each line draws, for a basket that ``shortfalls`` found coverable."""
        self.taken.clear()
        drawn: list[list[tuple[str, int]]] = [[] for _ in lines]
        open_lines = [(index, line) for index, line in enumerate(lines) if not line.location]
        for index, line in enumerate(lines):
            if line.location:
                self.take(line.sku, line.location, line.quantity)
                drawn[index] = [(line.location, line.quantity)]
        if not open_lines:
            return drawn
        together = self._one_location([line for _, line in open_lines])
        for index, line in open_lines:
            at = together or self._whole(line)
            if at:
                self.take(line.sku, at, line.quantity)
                drawn[index] = [(at, line.quantity)]
            else:
                drawn[index] = self.fill(line.sku, line.quantity)
        return drawn

    def _one_location(self, lines: list[ReserveLine]) -> str:
        needed: dict[str, int] = defaultdict(int)
        for line in lines:
            needed[line.sku] += line.quantity
        for at in self.batch.ranked(lines[0].sku):
            if all(self.free(sku, at) >= quantity for sku, quantity in needed.items()):
                return at
        return ""

    def _whole(self, line: ReserveLine) -> str:
        return next((at for at in self.batch.ranked(line.sku) if self.free(line.sku, at) >= line.quantity), "")


def _rotate_refusals(batch: Batch) -> None:
    """Two generations bound the memory: a refusal lives for one to two minutes, or 100,000 newer ones (R18)."""
    state = batch.state
    age = batch.now - state.refused_since
    if age >= REFUSED_MS or len(state.refused) >= REFUSED_MAX:
        state.refused_before = state.refused if age < 2 * REFUSED_MS else {}
        state.refused = {}
        state.refused_since = batch.now
