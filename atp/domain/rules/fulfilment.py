"""What happens to committed units: fulfil, acknowledge, transfer."""

from copy import deepcopy

from atp.domain.commands import Acknowledge, Fulfil, ReserveLine, Transfer
from atp.domain.entries import Acknowledged, Fulfilled, Transferred
from atp.domain.outcomes import Outcome
from atp.domain.records import Allocation
from atp.domain.results import Result
from atp.domain.rules.batch import Batch
from atp.domain.rules.contended import give_back_tentative
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
from atp.domain.rules.sourcing import Sourcing
from atp.domain.state import SHIPPED_BUCKET_MS


def fulfil(batch: Batch, c: Fulfil) -> Result:
    """Committed units left; they stay subtracted until the location's source shows it (R8)."""
    found = find_to_change(batch, c.id, c.change, "fulfilled")
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
    minute = batch.now // SHIPPED_BUCKET_MS * SHIPPED_BUCKET_MS
    for line, quantity in wanted:
        for a in line.allocations:
            units = min(quantity, a.committed)
            quantity -= units
            a.committed -= units
            a.acknowledged = min(a.acknowledged, a.committed)
            a.fulfilled += units
            position = batch.position(line.sku, a.location)
            position.committed -= units
            if units:
                position.shipped[minute] = position.shipped.get(minute, 0) + units
    if c.shipment:
        remember(found, c.shipment, 0)
    changed(batch, found, c.change)
    batch.entries.append(Fulfilled(found.seq, batch.now, c.client, c.cause, *batch.after(found)))
    return Result(Outcome.APPLIED, found.seq, deepcopy(found))


def acknowledge(batch: Batch, c: Acknowledge) -> Result:
    """The source counts these commitments; told without a version it waits for the source's next level (R1)."""
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
    for line, quantity in wanted:
        for a in line.allocations:
            units = min(quantity, _unacknowledged(a))
            quantity -= units
            a.acknowledged += units
    changed(batch, found, c.change)
    batch.entries.append(Acknowledged(found.seq, batch.now, c.client, c.cause, *batch.after(found)))
    return Result(Outcome.APPLIED, found.seq, deepcopy(found))


def transfer(batch: Batch, c: Transfer) -> Result:
    """Live units of a line move in one step, or not at all; held ones first, and acknowledgements stay behind."""
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
    sourcing.move_away(line.sku, c.source, c.quantity)
    available = sourcing.free(line.sku, c.target)
    if available < c.quantity:
        if batch.due_left:
            return Result(Outcome.AGAIN, batch.state.seq)
        asked = ReserveLine(line.line_id, line.sku, c.quantity, c.target)
        short = sourcing.shortfall(index, asked, available)
        tentative = give_back_tentative(batch, sourcing) and sourcing.free(line.sku, c.target) >= c.quantity
        outcome = Outcome.CONTENDED if tentative else Outcome.INSUFFICIENT
        return Result(outcome, found.seq, deepcopy(found), [short])
    there, quantity = allocation_at(line, c.target), c.quantity
    for state in ("held", "committed"):
        for a in here:
            units = min(quantity, getattr(a, state))
            quantity -= units
            for change, allocation, position in (
                (-units, a, batch.position(line.sku, c.source)),
                (units, there, batch.position(line.sku, c.target)),
            ):
                setattr(allocation, state, getattr(allocation, state) + change)
                setattr(position, state, getattr(position, state) + change)
            a.acknowledged = min(a.acknowledged, a.committed)
    changed(batch, found, c.change)
    batch.entries.append(Transferred(found.seq, batch.now, c.client, c.cause, *batch.after(found)))
    return Result(Outcome.APPLIED, found.seq, deepcopy(found))


def _unacknowledged(a: Allocation) -> int:
    return a.committed - a.acknowledged
