"""Shipping: units that left by the word of others than the location's source, until its own number shows them (R8)."""

from atp.domain.commands import TellOrder
from atp.domain.entries import ShipmentNoted
from atp.domain.records import Allocation
from atp.domain.rules.batch import Batch
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


def told_units(a: Allocation) -> int:
    """Units of which others told, and the authority has not."""
    return sum(a.told[1::3])


def end_told(batch: Batch, c: TellOrder, sku: str, a: Allocation, most: int) -> tuple[int, int]:
    """The authority tells of up to ``most`` units that others told of: (units, those that its number has yet to show).

    What a level counted meanwhile is gone from the position; there the version decides, as for every delta.
    """
    units = uncounted = 0
    left: list[int] = []
    for minute, told, kept in zip(a.told[::3], a.told[1::3], a.told[2::3], strict=True):
        taken = min(told, most - units)
        ended = min(kept, taken)
        units, uncounted = units + taken, uncounted + ended
        if told > taken:
            left += [minute, told - taken, kept - ended]
        position = batch.position(sku, a.location)
        if known := min(ended, position.shipped.get(minute, 0)):
            ship(position, minute, -known)
            seq = batch.next_seq()
            batch.touch(seq, [sku])
            batch.entries.append(
                ShipmentNoted(
                    seq, batch.now, "", c.cause, sku, a.location, c.source, minute, -known,
                    [batch.balance(sku, a.location)],
                )
            )  # fmt: skip
    a.told = left
    return units, uncounted
