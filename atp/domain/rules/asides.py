"""Units set aside: they are there by the number, and nobody can have them (R9).

Units that a picker did not find come back to nobody: they stay subtracted until a level that knows of it. Units that
came back unfit are unsellable, and are so beside a status that is older than they are.
"""

from atp.domain.entries import UnitsSetAside
from atp.domain.records import Version
from atp.domain.rules.batch import Batch
from atp.domain.state import ASIDE_EVENTS_MAX, SHIPPED_BUCKET_MS, SHIPPED_COUNTED_MS, Aside, Position


def set_aside(
    batch: Batch, sku: str, location: str, source: str, units: int, version: Version, event: int, cause: str
) -> None:
    """Subtract units of a position that its number still counts."""
    position = batch.position(sku, location)
    minute = note(batch.now, position, source, "short", units, version, event).minute
    seq = batch.next_seq()
    batch.touch(seq, [sku])
    batch.entries.append(
        UnitsSetAside(
            seq, batch.now, "", cause, sku, location, source, units, version, minute, event,
            [batch.balance(sku, location)],
        )
    )  # fmt: skip


def note(now: int, position: Position, source: str, kind: str, units: int, version: Version, event: int) -> Aside:
    """Remember units with those of the same kind and source."""
    found = next((x for x in position.aside if (x.kind, x.source) == (kind, source)), None)
    if found is None:
        found = Aside(kind, source, version, 0, 0)
        position.aside = [*position.aside, found]
    found.version, found.units = max(found.version, version), found.units + units
    found.minute = now // SHIPPED_BUCKET_MS * SHIPPED_BUCKET_MS
    found.events = [*found.events, event][-ASIDE_EVENTS_MAX:]
    return found


def is_noted(position: Position, source: str, kind: str, event: int) -> bool:
    """Whether the event's units are among those that are set aside."""
    return any(event in x.events for x in position.aside if (x.kind, x.source) == (kind, source))


def level_knows(position: Position, source: str, version: Version, as_of: int) -> None:
    """The authority's level knows which units its own people did not find before it, and others' long enough before."""
    counted = as_of - SHIPPED_COUNTED_MS - SHIPPED_BUCKET_MS
    position.aside = [
        x
        for x in position.aside
        if x.kind != "short" or (version <= x.version if x.source == source else x.minute >= counted)
    ]


def status_knows(position: Position, source: str, version: Version) -> int:
    """A source's status counts what came back unfit before it; returns the units that came later."""
    position.aside = [x for x in position.aside if x.kind != "unfit" or x.source != source or version < x.version]
    return sum(x.units for x in position.aside if (x.kind, x.source) == ("unfit", source))
