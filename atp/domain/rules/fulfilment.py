"""What happens to committed units: fulfil, acknowledge, transfer."""

from copy import deepcopy

from atp.domain.commands import Acknowledge, Fulfil, ReserveLine, Transfer
from atp.domain.entries import Acknowledged, Fulfilled, Transferred
from atp.domain.outcomes import Outcome
from atp.domain.records import Allocation
from atp.domain.results import Result
from atp.domain.rules.allocations import move
from atp.domain.rules.batch import Batch
from atp.domain.rules.contended import give_back_tentative
from atp.domain.rules.inclusion import acknowledge_live
from atp.domain.rules.lifecycle import (
    allocation_at,
    changed,
    committed_units,
    ended,
    find_to_change,
    remember,
    total,
    wanted_lines,
)
from atp.domain.rules.moves import Moves
from atp.domain.rules.retention import SHIPPED
from atp.domain.rules.shipping import note_told
from atp.domain.rules.sourcing import Sourcing
from atp.domain.rules.stock import expected_kind, known_source
from atp.domain.state import SHIPPED_BUCKET_MS


def fulfil(batch: Batch, c: Fulfil) -> Result:
    """Committed units left; they stay subtracted until the location's source shows it (R8)."""
    found = find_to_change(batch, c.id, c.change, *SHIPPED)
    if isinstance(found, Result):
        return found
    if c.shipment and any(key == c.shipment for key, _ in found.changes):
        return Result(Outcome.REPLAYED, found.seq, deepcopy(found), replayed=True)
    if not c.lines and not total(found, committed_units):
        if total(found, lambda a: a.fulfilled):
            return Result(Outcome.REPLAYED, found.seq, deepcopy(found), replayed=True)
        return ended(batch, found)
    wanted = wanted_lines(batch, found, c.lines, committed_units)
    if isinstance(wanted, Result):
        return wanted
    minute, moves = batch.now // SHIPPED_BUCKET_MS * SHIPPED_BUCKET_MS, Moves(batch, c.cause, ships=True)
    for line, quantity in wanted:
        for a in line.allocations:
            units = min(quantity, a.committed)
            if units:
                quantity -= units
                moves.watch(line.sku, a)
                a.committed -= units
                a.fulfilled += units
                move(batch, line, a, committed=-units)
                note_told(a, minute, units, units if line.sku in batch.foreign else 0)
    moves.settle()
    if c.shipment:
        remember(found, c.shipment, 0)
    changed(batch, found, c.change)
    batch.entries.append(Fulfilled(found.seq, batch.now, c.client, c.cause, *batch.after(found)))
    return Result(Outcome.APPLIED, found.seq, deepcopy(found))


def acknowledge(batch: Batch, c: Acknowledge) -> Result:
    """The source counts these commitments: it changes what is free only at measure `available` (R1)."""
    found = find_to_change(batch, c.id, c.change)
    if isinstance(found, Result):
        return found
    if not c.lines and not total(found, _unacknowledged):
        if total(found, committed_units):
            return Result(Outcome.REPLAYED, found.seq, deepcopy(found), replayed=True)
        return ended(batch, found)
    wanted = wanted_lines(batch, found, c.lines, _unacknowledged)
    if isinstance(wanted, Result):
        return wanted
    generation, moves = 0, Moves(batch, c.cause)
    if c.source:
        if c.version_kind != (expected := expected_kind(batch, c.source, c.version_kind)):
            return Result(Outcome.VERSION_KIND_MISMATCH, found.seq, deepcopy(found), detail=expected)
        generation = known_source(batch, c.source, c.version_kind, c.cause).generation
    for line, quantity in wanted:
        for a in line.allocations:
            units = min(quantity, _unacknowledged(a))
            quantity -= units
            moves.watch(line.sku, a)
            version = (generation, *c.version) if c.source else None
            acknowledge_live(batch, line.sku, a, c.source, version, units)
    moves.settle()
    changed(batch, found, c.change)
    batch.entries.append(Acknowledged(found.seq, batch.now, c.client, c.cause, *batch.after(found)))
    return Result(Outcome.APPLIED, found.seq, deepcopy(found))


def transfer(batch: Batch, c: Transfer) -> Result:
    """Live units of a line move in one step, or not at all; held ones first, and acknowledgements stay behind.

    They become stock on hand of the other location, whatever supply they hung on before.
    """
    found = find_to_change(batch, c.id, c.change)
    if isinstance(found, Result):
        return found
    policy = batch.location(c.target)
    if policy is None:
        return Result(Outcome.UNKNOWN_LOCATION, found.seq, deepcopy(found), detail=c.target)
    index, line = next(((i, x) for i, x in enumerate(found.lines) if x.line_id == c.line_id), (0, None))
    if line is None:
        return Result(Outcome.UNKNOWN_LINE, found.seq, deepcopy(found), detail=c.line_id)
    here = [a for a in line.allocations if a.location == c.source]
    if sum(a.held + a.committed for a in here) < c.quantity:
        return Result(Outcome.NOT_ACTIVE, found.seq, deepcopy(found), detail=c.line_id)
    sourcing = Sourcing(batch, found.channel, found.campaign, capped=False)  # it is sold already
    quantity = c.quantity
    for state in ("held", "committed"):
        for a in here:
            units = min(quantity, getattr(a, state))
            sourcing.move_away(line, a, units)
            quantity -= units
    available = sourcing.free(line.sku, c.target)
    if available < c.quantity:
        if batch.due_left:
            return Result(Outcome.AGAIN, batch.state.seq)
        asked = ReserveLine(line.line_id, line.sku, c.quantity, c.target)
        short = sourcing.shortfall(index, asked, available)
        tentative = give_back_tentative(batch, sourcing) and sourcing.free(line.sku, c.target) >= c.quantity
        outcome = Outcome.CONTENDED if tentative else Outcome.INSUFFICIENT
        return Result(outcome, found.seq, deepcopy(found), [short])
    there, quantity, moves = allocation_at(line, c.target), c.quantity, Moves(batch, c.cause)
    for state in ("held", "committed"):
        for a in here:
            units = min(quantity, getattr(a, state))
            quantity -= units
            if state == "committed" and units:
                moves.watch(line.sku, a)
                a.gone += units
                a.committed -= units
                moves.commit(line.sku, there, units)
            elif units:
                a.held -= units
                there.held += units
            for change, allocation in ((-units, a), (units, there)):
                move(batch, line, allocation, **{state: change})
    moves.settle()
    changed(batch, found, c.change)
    batch.entries.append(Transferred(found.seq, batch.now, c.client, c.cause, *batch.after(found)))
    return Result(Outcome.APPLIED, found.seq, deepcopy(found))


def _unacknowledged(a: Allocation) -> int:
    return a.committed - a.acknowledged
