"""Inclusion: which commitments a source's number of measure `available` is already net of (R1, R12).

An acknowledgement names the version from which on the source counts the order. Until a level of that source reaches
it, the units are pending and stay subtracted; from then on they are included, and subtracting them again would count
them twice. Each source's word is kept by itself (``domain/tallies``), so that a change of authority uses its own.
"""

from atp.domain.commands import Include, Level
from atp.domain.entries import Acknowledged
from atp.domain.records import Allocation, Reservation, Version
from atp.domain.rules.batch import Batch
from atp.domain.rules.moves import Moves
from atp.domain.rules.naming import named
from atp.domain.state import PENDING_MAX, SourceNumber
from atp.domain.tallies import add, ever_committed, find_tally, name_all, standing, tally_of, units_in

#: Of sources whose numbers are not net of any order it is known that they acknowledged units, and nothing follows.
ANYBODY = ""

_NONE: Version = (0, 0, 0)


def may_acknowledge(batch: Batch, sku: str, a: Allocation, source: str) -> int:
    """Units of the allocation that the source has not acknowledged, whatever became of them."""
    return max(0, ever_committed(a) - units_in(find_tally(a, _counting(batch, sku, a, source)).counts))


def acknowledge(batch: Batch, sku: str, a: Allocation, source: str, version: Version, units: int) -> None:
    """The source counts so many more units of the allocation, as of a version."""
    if not units:
        return
    by = _counting(batch, sku, a, source)
    known = batch.sku(sku).positions[a.location].sources.get(by) if by else None
    if known and version > known.version and version not in known.pending and len(known.pending) >= PENDING_MAX:
        by = ANYBODY
    tally = tally_of(a, by)
    tally.counts = add(tally.counts, units, version if by else _NONE)


def acknowledge_live(batch: Batch, sku: str, a: Allocation, source: str, version: Version | None, units: int) -> None:
    """The same of units that are promised now, by a call: those that left before are none of them.

    No source means the location's authority, and no version its next level.
    """
    by = source or batch.authority(a.location)
    if version is None:
        known = batch.sku(sku).positions[a.location].sources.get(by) if sku not in batch.foreign else None
        version = _next(known.version if known else _NONE)
    if units:
        units += standing(a, find_tally(a, _counting(batch, sku, a, by))).deficit
    acknowledge(batch, sku, a, by, version, units)


def include_order(batch: Batch, c: Level, order_ref: str, version: Version) -> None:
    """A level is net of an order as of its own version, also when it is stale; inclusion only grows (R39)."""
    for r in named(batch, order_ref):
        include_reservation(batch, c, r, version)


def include_reservation(batch: Batch, c: Level | Include, r: Reservation, version: Version) -> None:
    """What the reservation ever committed at the level's position is included as of ``version``."""
    news, moves = False, Moves(batch, c.cause)
    for line in [line for line in r.lines if line.sku == c.sku]:
        for a in line.allocations:
            units = ever_committed(a)
            if a.location == c.location and units and not a.supply:
                moves.watch(line.sku, a)
                by = _counting(batch, line.sku, a, c.source)
                news = name_all(tally_of(a, by), units, version if by else _NONE) or news
    if news:
        moves.settle()
        batch.keep(r)
        batch.entries.append(Acknowledged(r.seq, batch.now, "", c.cause, *batch.after(r)))


def include(known: SourceNumber) -> None:
    """A level counts every acknowledgement up to its version."""
    known.included += sum(units for version, units in known.pending.items() if version <= known.version)
    known.pending = {version: units for version, units in known.pending.items() if version > known.version}


def _counting(batch: Batch, sku: str, a: Allocation, source: str) -> str:
    """The source whose number is net of units of the allocation that it acknowledged, or ANYBODY.

    Units that hang on incoming supply are not in the position's committed ones, so there is nothing to leave out of
    them. Units in another partition are known there by their leg alone, and stay subtracted.
    """
    if a.supply or not source or sku in batch.foreign or batch.source_policy(source).measure != "available":
        return ANYBODY
    return source


def _next(version: Version) -> Version:
    """Right after this version: any newer level is at or above it. Its last part may be 2³², which still compares."""
    generation, high, low = version
    return generation, high, low + 1
