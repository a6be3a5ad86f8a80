"""Shipping: units that left by the word of others than the location's source, until its own number shows them (R8)."""

from atp.domain.records import Allocation
from atp.domain.state import TOLD_MAX, Position


def ship(position: Position, minute: int, units: int) -> None:
    """Keep units subtracted from the position, as of a minute; negative ones are shown by now."""
    shipped = position.shipped
    shipped[minute] = shipped.get(minute, 0) + units
    if not shipped[minute]:
        del shipped[minute]


def note_told(a: Allocation, minute: int, units: int, uncounted: int) -> None:
    """Others told of units of the allocation; the position keeps ``uncounted`` of them. The last minutes may be one."""
    told = a.told
    if told and (told[-3] == minute or len(told) >= 3 * TOLD_MAX):
        a.told = [*told[:-2], told[-2] + units, told[-1] + uncounted]
    else:
        a.told = [*told, minute, units, uncounted]


def end_told(a: Allocation, most: int) -> list[tuple[int, int, int]]:
    """The authority tells of up to ``most`` units that others told of: (minute, units, those the position keeps)."""
    ended: list[tuple[int, int, int]] = []
    left: list[int] = []
    for minute, told, kept in zip(a.told[::3], a.told[1::3], a.told[2::3], strict=True):
        taken = min(told, most)
        most -= taken
        if taken:
            ended.append((minute, taken, min(kept, taken)))
        if told > taken:
            left += [minute, told - taken, kept - min(kept, taken)]
    a.told = left
    return ended
