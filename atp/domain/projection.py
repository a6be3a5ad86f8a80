"""Projection: what may be promised for a day at one location, with supply that is still to arrive (R10).

The model is cumulative: the projection for a day is what is free now, and all that arrives until then, less all that
was promised for then or earlier out of supply. A promise for a day must leave no later day below zero, and a promise
for now no day at all. So nothing is matched unit by unit, and a delivery that slips or shrinks rewrites no record.
Supply counts until its day begins: a truck that is late is promised to nobody.
"""

from collections.abc import Mapping

from msgspec import Struct


class Day(Struct):
    """Supply of one position due on one day, and what hangs on that day."""

    starts_at: int = 0  # ms: when the day begins at the location; 0 while no supply was announced for it
    quantity: int = 0  # units expected
    pegged: int = 0  # live units of allocations that name this day as their supply
    due: int = 0  # live units of such allocations that are needed by this day


Days = Mapping[str, Day]


def lowest(free: int, days: Days, day: str, now: int) -> int:
    """The lowest projection from ``day`` on, negative in a shortage; "" is now."""
    projected, low = free, None
    for name in sorted(days):
        if low is None and name > day:
            low = projected
        at = days[name]
        projected += (at.quantity if at.starts_at > now else 0) - at.due
        low = projected if low is not None and projected < low else low
    return projected if low is None else low


def divide(on_hand: int, days: Days, day: str, now: int, quantity: int) -> list[tuple[int, str]]:
    """How units that may be promised for ``day`` are kept: (units, day of the supply), "" for stock on hand.

    The latest supply that still meets the day goes first, and stock on hand last, at most ``on_hand`` of it. Where that
    is too little and all supply is named already, for days so late that later supply will do, the latest is named once
    more.
    """
    if not day:
        return [(quantity, "")]
    coming = sorted((n for n, at in days.items() if n <= day and at.starts_at > now and at.quantity), reverse=True)
    rooms = {name: max(0, days[name].quantity - days[name].pegged) for name in coming}
    wanted = max(min(quantity, sum(rooms.values())), quantity - on_hand)
    beyond = max(0, wanted - sum(rooms.values()))
    parts, left = {"": quantity - wanted}, wanted - beyond
    for name, room in rooms.items():
        parts[name] = min(room, left)
        left -= parts[name]
    if beyond:
        parts[coming[0]] += beyond
    return [(units, name) for name, units in parts.items() if units]


def peg(days: dict[str, Day], supply: str, needed_by: str, units: int) -> None:
    """Promise ``units`` of the supply of one day for another; negative ones give back."""
    days.setdefault(supply, Day()).pegged += units
    days.setdefault(needed_by, Day()).due += units
    tidy(days, supply, needed_by)


def tidy(days: dict[str, Day], *names: str) -> None:
    """Drop days that nothing hangs on."""
    for name in names:
        if (at := days.get(name)) is not None and not (at.quantity or at.pegged or at.due):
            del days[name]
