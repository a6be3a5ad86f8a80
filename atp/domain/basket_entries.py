"""Entries about baskets that span partitions (R3); ``entries`` has them among all others."""

from atp.domain.entry import Entry
from atp.domain.records import Balance, Leg


class BasketOpened(Entry, array_like=True, tag=30):
    """An attempt at a basket that spans partitions began; its seq is the attempt's name."""

    id: str
    fingerprint: int
    deadline: int
    foreign: list[str]
    call: int = 0  # digest of the call that opened it


class BasketAborted(Entry, array_like=True, tag=31):
    """The attempt will never be decided: whatever its legs took may be freed."""

    id: str
    attempt: int


class LegTaken(Entry, array_like=True, tag=32):
    """Units of this partition are held for an undecided basket."""

    leg: Leg
    balances: list[Balance]


class LegDropped(Entry, array_like=True, tag=33):
    """The basket was aborted: its units here are free again."""

    leg: Leg
    balances: list[Balance]


class LegFollowed(Entry, array_like=True, tag=34):
    """The leg is now what the basket's record at home says."""

    leg: Leg
    balances: list[Balance]


class BasketFollowed(Entry, array_like=True, tag=65):
    """All legs of a basket have applied home's word of ``through``."""

    id: str
    through: int
