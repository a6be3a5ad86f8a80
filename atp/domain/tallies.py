"""Tallies: what sources told of the committed units of an allocation, and what follows from it, in no order at all.

What is kept are facts that add up or are the largest of their kind, so it does not matter which of them came first: per
source the units that it acknowledged by version, those it named as included by version, those it shipped and those it
did not find by version; and of the allocation, what others shipped and what left it otherwise. What they mean is
computed: which units a source's number of measure `available` is net of, and from which version of a level on (R1, R8).

Which unit is which nobody says, so units that left are taken to be those that were counted, the lowest versions first:
the others could be subtracted twice then, but none is sold twice. A shipment uses up what was counted up to its own
version, and from the earlier of the two on a level shows it. What others told uses up any; units that left otherwise
are the next; those that are left are still promised, and counted.
"""

from collections.abc import Iterator

from msgspec import Struct

from atp.domain.records import Allocation, Tally, Version

#: Versions that one kind of fact of one allocation and source keeps apart; beyond, the two lowest become one, as of the
#: later.
GROUPS_MAX = 8

#: Units and the version as of which they are meant.
Step = tuple[Version, int]


class Standing(Struct):
    """What one source's tally says of an allocation's units."""

    live: list[Step]  # promised, and counted by the source from the version on
    left: list[Step]  # shipped: a level of the version shows it
    missing: list[Step]  # not found by the source: a level of the version knows
    unmatched: int  # shipped by the word of others, and never counted by the source
    deficit: int  # units that left, would have been counted first, and were not


def tally_of(a: Allocation, source: str) -> Tally:
    """What the source told of the allocation, begun if it is its first word."""
    found = next((t for t in a.tallies if t.source == source), None)
    if found is None:
        found = Tally(source)
        a.tallies = sorted([*a.tallies, found], key=lambda t: t.source.encode())
    return found


def find_tally(a: Allocation, source: str) -> Tally:
    """What the source told of the allocation, empty if nothing."""
    return next((t for t in a.tallies if t.source == source), None) or Tally(source)


def ever_committed(a: Allocation) -> int:
    """Units that were promised here for good, whatever became of them."""
    return a.committed + a.fulfilled + a.gone


def units_in(groups: list[int]) -> int:
    """All units of a flat list of [units, generation, high, low, …]."""
    return sum(groups[::4])


def add(groups: list[int], units: int, version: Version) -> list[int]:
    """The same with more units as of a version, in the order of versions, and bounded."""
    steps = list(steps_of(groups))
    at = next((i for i, (known, _) in enumerate(steps) if known >= version), len(steps))
    if at < len(steps) and steps[at][0] == version:
        steps[at] = version, steps[at][1] + units
    else:
        steps.insert(at, (version, units))
    if len(steps) > GROUPS_MAX:
        steps[:2] = [(steps[1][0], steps[0][1] + steps[1][1])]
    return _flat(steps)


def name_all(tally: Tally, units: int, version: Version) -> bool:
    """The number is net of ``units`` of all that were ever committed, as of a version; whether that is news."""
    counted = sum(u for known, u in steps_of(tally.counts) if known <= version)
    if counted >= units or any(known <= version and u >= units for known, u in steps_of(tally.named)):
        return False
    left = [(known, u) for known, u in steps_of(tally.named) if known < version or u > units]
    tally.named = _flat(sorted([*left, (version, units)])[:GROUPS_MAX])
    return True


def standing(a: Allocation, tally: Tally) -> Standing:
    """What follows from the facts."""
    counted = _counted(a, tally)
    left, missing = _match(counted, tally.shipped), _match(counted, tally.short)
    shipped = sum(units_in(t.shipped) for t in a.tallies) + told_units(a)
    others = shipped - units_in(tally.shipped)
    matched = _take(counted, others)
    gone = a.fulfilled + a.gone - shipped - units_in(tally.short)
    taken = _take(counted, gone)
    unmatched = others - sum(units for _, units in matched)
    surplus = sum(units for _, units in counted) - a.committed
    _take(counted, surplus)
    deficit = unmatched + gone - sum(units for _, units in taken)
    return Standing(counted, _merged([*left, *matched]), _merged(missing), unmatched, deficit)


def most_live(a: Allocation) -> int:
    """Acknowledged units that are still promised, by the source that has most of them."""
    return max((sum(units for _, units in standing(a, t).live) for t in a.tallies), default=0)


def told_units(a: Allocation) -> int:
    """Units shipped by the word of others, of which the authority has not told."""
    return sum(a.told[1::3])


def steps_of(groups: list[int]) -> Iterator[Step]:
    """A flat list by version."""
    for i in range(0, len(groups), 4):
        yield (groups[i + 1], groups[i + 2], groups[i + 3]), groups[i]


def _flat(steps: list[Step]) -> list[int]:
    return [word for version, units in steps for word in (units, *version)]


def _counted(a: Allocation, tally: Tally) -> list[Step]:
    """From which versions on how many more units are counted, whatever became of them; never more than there were."""
    found: list[Step] = []
    counts, named = list(steps_of(tally.counts)), list(steps_of(tally.named))
    total, most = 0, ever_committed(a)
    for version in sorted({version for version, _ in (*counts, *named)}):
        acknowledged = sum(units for known, units in counts if known <= version)
        reached = min(most, max([acknowledged, *(units for known, units in named if known <= version)]))
        if reached > total:
            found.append((version, reached - total))
            total = reached
    return found


def _match(counted: list[Step], groups: list[int]) -> list[Step]:
    """From which version on a level knows of units that left: of their leaving, or of their being counted before it."""
    found: list[Step] = []
    for version, units in steps_of(groups):
        before = [step for step in counted if step[0] <= version]
        taken = _take(before, units)
        found += taken
        rest = units - sum(n for _, n in taken)
        if rest:
            found.append((version, rest))
        counted[:] = before + [step for step in counted if step[0] > version]
    return found


def _take(steps: list[Step], units: int) -> list[Step]:
    """Take units out of the steps, lowest versions first; returns what was taken."""
    taken: list[Step] = []
    while units > 0 and steps:
        version, there = steps[0]
        n = min(units, there)
        taken.append((version, n))
        units -= n
        steps[:1] = [(version, there - n)] if n < there else []
    return taken


def _merged(steps: list[Step]) -> list[Step]:
    found: dict[Version, int] = {}
    for version, units in steps:
        found[version] = found.get(version, 0) + units
    return list(found.items())
