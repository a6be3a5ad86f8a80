"""Commands of the check: counters become what their records say, a lost record comes back (DESIGN §5 "Check")."""

from typing import Literal

from msgspec import Struct

from atp.domain.records import Reservation, Version
from atp.domain.sellers import SEPARATOR

#: What may differ from its records. Of a position: units of stock on hand, of a day of supply (``name``), tentative
#: ones, a source's number, and acknowledged units that a source (``name``) counts, or will at a version (``name`` is
#: ``at_version``); of a sku: what a seller (``name``) used, sums that are made anew when they are asked for, and
#: whether it lists a location (``name``); of a customer: units held (``name`` is channel US customer) and bought
#: (campaign US customer); when the first event that waits for an order (``name``) is given up; how many of a kind
#: (``name``, a slot of ``meta``) there are; the seq that raised an exception (``name`` is its subject).
Counter = Literal[
    "held", "committed", "pegged", "due", "quantity", "contended", "number", "included", "pending", "used", "sums",
    "places", "holding", "buyers", "awaited", "count", "exception",
]  # fmt: skip

#: Counters that the law makes anew by itself: their corrections change nothing by a number.
MADE_ANEW = ("sums", "places", "awaited", "count")


def at_version(source: str, version: Version) -> str:
    """The name of acknowledged units that the source counts from a version on."""
    return SEPARATOR.join((source, *map(str, version)))


def version_in(name: str) -> tuple[str, Version]:
    """Source and version of such a name."""
    source, generation, high, low = name.split(SEPARATOR)
    return source, (int(generation), int(high), int(low))


class Correction(Struct, array_like=True):
    """One counter, and by how much it is to change."""

    counter: Counter
    name: str
    by: int
    value: int = 0  # used: since when its seller counts; quantity: the day's start; holding, buyers, exception: as seen


class Repair(Struct, array_like=True, tag=38):
    """Change counters by their drift from the records, once: by the open exception ``raised`` that tells of it.

    Every command changes a counter and its records alike, so a drift that was seen stays what it is while others
    write; where that does not hold, the correction says what it goes with.
    """

    sku: str
    location: str
    source: str
    raised: int
    corrections: list[Correction]
    client: str = ""
    cause: str = ""


class PutBack(Struct, array_like=True, tag=39):
    """Make deadline, order index and index of what is undecided agree with a reservation's record, basket and leg.

    With ``record``, first put that one back.
    It is the journal's, and only counts if the ledger has none, or an older one. Counters stay as they are.
    """

    id: str
    order_ref: str  # an order that may name it
    record: list[Reservation]  # one, or none
    raised: int
    client: str = ""
    cause: str = ""
