"""Incoming supply: what is announced for a day, and what of it arrived (R10).

A supply id is one delivery. Its announcements and receipts come from different systems with no common version, so each
is taken in any order: what is still expected is the quantity announced last less all that was received.

One whose day is over is an exception, which ends when it came or has another day.
"""

from atp.domain.commands import Incoming, Overdue, Received
from atp.domain.entries import SupplyExpected, SupplyReceived
from atp.domain.exceptions import Kind
from atp.domain.outcomes import Outcome
from atp.domain.projection import Day, tidy
from atp.domain.records import Version
from atp.domain.results import Result
from atp.domain.rules import shortage
from atp.domain.rules.batch import Batch
from atp.domain.rules.exceptions import end_exception, raise_exception
from atp.domain.rules.stock import change_number, changed_of, known_source, refuse_stock
from atp.domain.state import ANNOUNCED_MAX, RECEIPTS_MAX, Announcement, Supply


def incoming(batch: Batch, c: Incoming) -> Result:
    """Expect units on a day; a later word on the same supply id moves or changes them, and 0 takes them away."""
    if refusal := refuse_stock(batch, c, ""):
        return refusal
    source = known_source(batch, c.source, c.version_kind, c.cause)
    version: Version = (source.generation, *c.version)
    supply = _supply(batch, c)
    told = Announcement(c.source, (*version, c.position), c.day, c.starts_at, c.quantity, c.as_of)
    known = announcements(supply)
    if any(x.source == c.source and told.version <= x.version for x in known):
        return Result(Outcome.STALE, batch.state.seq)
    position = batch.position(c.sku, c.location)
    before = shortage.unpromised(batch, c.sku, c.location)
    expect(position.supply, supply, -1)
    announce(supply, told, max([told, *(x for x in known if x.source != c.source)], key=_weight).source)
    expect(position.supply, supply, 1)
    batch.state.supplies[c.sku, c.location, c.supply_id] = supply
    seq = batch.next_seq()
    batch.touch(seq, [c.sku])
    batch.entries.append(
        SupplyExpected(
            seq, batch.now, "", c.cause, c.sku, c.location, c.source, c.supply_id, c.quantity, c.day, c.starts_at,
            version, c.stream, c.position, c.as_of, supply.left, [batch.balance(c.sku, c.location)],
            supply.source if supply.source != c.source else "",
        )
    )  # fmt: skip
    _end_overdue(batch, c, supply)
    shortage.report(batch, c.sku, c.location, c.cause, before)
    return Result(Outcome.APPLIED, seq)


def announcements(supply: Supply) -> list[Announcement]:
    """What each source said last of a delivery; the one that counts is the first, if any is."""
    if not supply.source:
        return list(supply.others)
    first = Announcement(
        supply.source, supply.version, supply.day, supply.starts_at, supply.quantity, supply.as_of
    )  # fmt: skip
    return [first, *supply.others]


def announce(supply: Supply, told: Announcement, counts: str) -> None:
    """Keep a source's last word; the word of ``counts`` is the one that counts. The least of too many is forgotten."""
    known = [x for x in announcements(supply) if x.source != told.source] + [told]
    chosen = next(x for x in known if x.source == counts)
    supply.source, supply.version, supply.as_of = chosen.source, chosen.version, chosen.as_of
    supply.day, supply.starts_at, supply.quantity = chosen.day, chosen.starts_at, chosen.quantity
    others = sorted((x for x in known if x is not chosen), key=_weight)
    supply.others = sorted(others[-ANNOUNCED_MAX:], key=lambda x: x.source.encode())


def _weight(x: Announcement) -> tuple[int, bool, int, int, bytes]:
    """Which of two words counts: the later one, then the one that promises less, or later; then always the same."""
    return x.as_of, x.quantity == 0, x.starts_at, -x.quantity, x.source.encode()


def received(batch: Batch, c: Received) -> Result:
    """Units of a delivery arrived: it shrinks, and the number of the source that says so grows as by a delta."""
    if refusal := refuse_stock(batch, c, ""):
        return refusal
    source = known_source(batch, c.source, c.version_kind, c.cause)
    version: Version = (source.generation, *c.version)
    supply = _supply(batch, c)
    if c.event in supply.receipts:
        return Result(Outcome.DUPLICATE, batch.state.seq)
    position = batch.position(c.sku, c.location)
    before = shortage.unpromised(batch, c.sku, c.location)
    known, _ = change_number(batch, c, version)
    expect(position.supply, supply, -1)
    supply.received += c.quantity
    supply.receipts = [*supply.receipts, c.event][-RECEIPTS_MAX:]
    expect(position.supply, supply, 1)
    batch.state.supplies[c.sku, c.location, c.supply_id] = supply
    seq = batch.next_seq()
    batch.touch(seq, [c.sku])
    batch.entries.append(
        SupplyReceived(
            seq, batch.now, "", c.cause, c.sku, c.location, c.source, c.supply_id, c.quantity, supply.left,
            known.number, version, c.stream, c.position, c.as_of, c.event, [batch.balance(c.sku, c.location)],
            changed_of(batch, c),
        )
    )  # fmt: skip
    _end_overdue(batch, c, supply)
    shortage.report(batch, c.sku, c.location, c.cause, before)
    return Result(Outcome.APPLIED, seq)


def tell_overdue(batch: Batch, c: Overdue) -> Result:
    """Tell people of a delivery whose day is over, once for each day it had; NOT_FOUND if there is nothing to tell."""
    supply = batch.state.supplies.get((c.sku, c.location, c.supply_id))
    if supply is None or supply.told or batch.apart or not supply.overdue(batch.now):
        return Result(Outcome.NOT_FOUND, batch.state.seq, detail=c.supply_id)
    detail = f"{supply.left} units expected on {supply.day} by {supply.source}"
    supply.told = raise_exception(
        batch, Kind.SUPPLY_OVERDUE, c.cause, c.sku, c.location, reservation=c.supply_id, detail=detail
    )
    return Result(Outcome.APPLIED, batch.state.seq)


def _end_overdue(batch: Batch, c: Incoming | Received, supply: Supply) -> None:
    if supply.told and not supply.overdue(batch.now):
        supply.told = False
        end_exception(batch, Kind.SUPPLY_OVERDUE, c.cause, c.sku, c.location, reservation=c.supply_id)


def _supply(batch: Batch, c: Incoming | Received) -> Supply:
    return batch.state.supplies.get((c.sku, c.location, c.supply_id)) or Supply()


def expect(days: dict[str, Day], supply: Supply, sign: int) -> None:
    """Add what is left of the supply to its day, or take it away."""
    if supply.left:
        day = days.setdefault(supply.day, Day())
        day.quantity += sign * supply.left
        day.starts_at = supply.starts_at if sign > 0 else day.starts_at
        tidy(days, supply.day)
