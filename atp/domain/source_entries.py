"""Entries about sources: whose number counts at a location, who is silent, who begins anew (R12, R14)."""

from atp.domain.entry import Entry
from atp.domain.records import Balance, Version


class FallbackTaken(Entry, array_like=True, tag=50):
    """The authority of a location is silent: the lower of its number and the fallback's is sold (R12).

    So it is at each position until the authority's next level there.
    """

    location: str
    source: str
    fallback: str


class AuthorityReturned(Entry, array_like=True, tag=51):
    """The authority sent a level again: at this position its number alone counts."""

    sku: str
    location: str
    source: str


class AuthorityMoved(Entry, array_like=True, tag=52):
    """Another source's number counts at all positions of a location. ``change``: which call said so, if one did."""

    location: str
    before: str
    source: str
    change: tuple[int, int] = (0, 0)


class SourceSilent(Entry, array_like=True, tag=53):
    """A source that sends heartbeats was not heard for longer than its policy allows."""

    source: str
    heard_at: int


class SourceHeard(Entry, array_like=True, tag=54):
    """A source sent its first heartbeat, or was heard again after its silence."""

    source: str


class SourceRestarted(Entry, array_like=True, tag=55):
    """A source begins anew; ``key`` is the digest of the call that said so."""

    source: str
    generation: int
    key: int


class PositionsRecounted(Entry, array_like=True, tag=56):
    """Positions of a location where another number counts since an entry before, and leaves other units free."""

    location: str
    balances: list[Balance]
    last: bool = False  # all of them were gone through


class Touched(Entry, array_like=True, tag=68):
    """A source's number of a sku changed, and somebody has to fetch it; ``waiting`` are the positions it has one of.

    They are stale once that is long ago, until a level of the source that is at or above ``version``.
    """

    sku: str
    location: str  # as it was told: "" is everywhere
    source: str
    waiting: list[str]
    version: Version  # (0, 0, 0): right above the level that each position has
    stream: str
    position: int
    as_of: int
