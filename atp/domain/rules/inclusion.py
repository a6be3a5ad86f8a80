"""Inclusion: which commitments a source's number of measure `available` is already net of (R1, R12).

An acknowledgement names the version from which on the source counts the order. Until a level of that source reaches
it, the units are pending and stay subtracted; from then on they are included, and subtracting them again would count
them twice. Both are kept per position and source, so that a change of authority uses the other source's own.

Whatever leaves an allocation takes its counted units first. Who fulfils or releases does not say which units he
means: if it were the others, the number would be net of units that no allocation accounts for, and they would be sold.
"""

from atp.domain.commands import Include, Level
from atp.domain.entries import Acknowledged
from atp.domain.records import Allocation, Reservation, Version
from atp.domain.rules.batch import Batch
from atp.domain.rules.naming import named
from atp.domain.state import PENDING_MAX, SourceNumber


def count(batch: Batch, sku: str, a: Allocation, source: str, version: Version, units: int) -> None:
    """Remember that ``source`` counts ``units`` more of the allocation from ``version`` on.

    No source means the location's authority and its next level. Units counted before move to the newer version, or
    are dropped if another source counted them; either way less is included than before, never more. Units that hang on
    incoming supply are not in the position's committed ones, so there is nothing to leave out of them. Units in another
    partition are known there by their leg alone, and stay subtracted.
    """
    by = source or batch.authority(a.location)
    if not units or a.supply or not by or sku in batch.foreign or batch.source_policy(by).measure != "available":
        return
    known = batch.sku(sku).positions[a.location].sources.setdefault(by, SourceNumber())
    if not source:
        version = _next(known.version)
    if a.counted_by == by:
        version = max(version, _version_of(a))
    if version > known.version and version not in known.pending and len(known.pending) >= PENDING_MAX:
        return
    before = a.counted[0] if a.counted else 0
    kept = before if a.counted_by == by else 0
    _change(batch, sku, a, -before)
    a.counted_by, a.counted = by, [kept + units, *version]
    _change(batch, sku, a, kept + units)


def include_order(batch: Batch, c: Level, order_ref: str, version: Version) -> None:
    """A level is net of an order as of its own version, also when it is stale; inclusion only grows (R39).

    What the location's authority counts is not taken from it by another source's word.
    """
    for r in named(batch, order_ref):
        include_reservation(batch, c, r, version)


def include_reservation(batch: Batch, c: Level | Include, r: Reservation, version: Version) -> None:
    """What the reservation has committed at the level's position is included as of ``version``."""
    news = False
    for line in [line for line in r.lines if line.sku == c.sku]:
        for a in line.allocations:
            if a.location == c.location and a.committed and not a.supply:
                news = _include_all(batch, c, a, version) or news
    if news:
        batch.keep(r)
        batch.entries.append(Acknowledged(r.seq, batch.now, "", c.cause, *batch.after(r)))


def _include_all(batch: Batch, c: Level | Include, a: Allocation, version: Version) -> bool:
    if a.counted_by not in ("", c.source) and a.counted_by == batch.authority(c.location):
        return False
    news, a.acknowledged = a.acknowledged < a.committed, a.committed
    if batch.source_policy(c.source).measure != "available":
        return news
    if a.counted_by == c.source and a.counted[0] == a.committed and _version_of(a) <= version:
        return news
    if a.counted:
        _change(batch, c.sku, a, -a.counted[0])
    batch.sku(c.sku).positions[c.location].sources.setdefault(c.source, SourceNumber())
    a.counted_by, a.counted = c.source, [a.committed, *version]
    _change(batch, c.sku, a, a.committed)
    return True


def uncount(batch: Batch, sku: str, a: Allocation, units: int) -> int:
    """Take up to ``units`` counted units out; returns how many of them the number that sells here was net of."""
    taken = min(units, a.counted[0]) if a.counted else 0
    if not taken:
        return 0
    a.acknowledged -= taken
    included = _change(batch, sku, a, -taken)
    sells = a.counted_by == batch.authority(a.location) and not batch.on_fallback(sku, a.location)
    shown = taken if included and sells and batch.source_policy(a.counted_by).measure == "available" else 0
    if taken < a.counted[0]:
        a.counted = [a.counted[0] - taken, *a.counted[1:]]
    else:
        a.counted_by, a.counted = "", []
    return shown


def include(known: SourceNumber) -> None:
    """A level counts every acknowledgement up to its version."""
    known.included += sum(units for version, units in known.pending.items() if version <= known.version)
    known.pending = {version: units for version, units in known.pending.items() if version > known.version}


def _change(batch: Batch, sku: str, a: Allocation, units: int) -> bool:
    """Add units to where the allocation's counted units are; returns whether they are included."""
    if not units:
        return False
    known, version = batch.sku(sku).positions[a.location].sources[a.counted_by], _version_of(a)
    if version <= known.version:
        known.included += units
        return True
    known.pending[version] = known.pending.get(version, 0) + units
    if not known.pending[version]:
        del known.pending[version]
    return False


def _version_of(a: Allocation) -> Version:
    _, generation, high, low = a.counted
    return generation, high, low


def _next(version: Version) -> Version:
    """Right after this version: any newer level is at or above it. Its last part may be 2³², which still compares."""
    generation, high, low = version
    return generation, high, low + 1
