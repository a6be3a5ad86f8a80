"""Units set aside: they are there by the number, and nobody can have them (R9).

Units that a picker did not find come back to nobody: they stay subtracted until a level that knows of it. Units that
came back unfit are unsellable, and are so beside a status that is older than they are. Each version is kept by itself,
so a level or a status ends what is not newer, whatever came first; of many versions the two lowest become one, as of
the later.
"""

from atp.domain.records import Version
from atp.domain.state import ASIDE_EVENTS_MAX, ASIDES_MAX, SHIPPED_BUCKET_MS, SHIPPED_COUNTED_MS, Aside, Position


def note(now: int, position: Position, source: str, kind: str, units: int, version: Version, event: int) -> int:
    """Remember units with those of the same kind, source and version, or forget some; returns how many that changed."""
    found = next((x for x in position.aside if (x.kind, x.source, x.version) == (kind, source, version)), None)
    units = max(units, -found.units if found else 0)
    if not units:
        return 0
    if found is None:
        found = Aside(kind, source, version, 0, 0)
        position.aside = [*position.aside, found]
    found.units += units
    if units > 0:
        found.minute = now // SHIPPED_BUCKET_MS * SHIPPED_BUCKET_MS
        found.events = [*found.events, event][-ASIDE_EVENTS_MAX:]
    if not found.units:
        position.aside = [x for x in position.aside if x is not found]
    same = sorted((x for x in position.aside if (x.kind, x.source) == (kind, source)), key=lambda x: x.version)
    if len(same) > ASIDES_MAX:
        _merge(position, same[0], same[1])
    return units


def _merge(position: Position, old: Aside, into: Aside) -> None:
    into.units, into.minute = into.units + old.units, max(into.minute, old.minute)
    into.events = [*old.events, *into.events][-ASIDE_EVENTS_MAX:]
    position.aside = [x for x in position.aside if x is not old]


def is_noted(position: Position, source: str, kind: str, event: int) -> bool:
    """Whether the event's units are among those that are set aside."""
    return any(event in x.events for x in position.aside if (x.kind, x.source) == (kind, source))


def level_knows(position: Position, source: str, version: Version, as_of: int) -> None:
    """The authority's level knows which units its own people did not find by then, and others' long enough before."""
    counted = as_of - SHIPPED_COUNTED_MS - SHIPPED_BUCKET_MS
    position.aside = [
        x
        for x in position.aside
        if x.kind != "short" or (version < x.version if x.source == source else x.minute >= counted)
    ]


def status_knows(position: Position, source: str, version: Version) -> int:
    """A source's status counts what came back unfit before it; returns the units that came later."""
    position.aside = [x for x in position.aside if x.kind != "unfit" or x.source != source or version < x.version]
    return sum(x.units for x in position.aside if (x.kind, x.source) == ("unfit", source))
