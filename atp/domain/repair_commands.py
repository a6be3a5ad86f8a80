"""Commands of the check: counters become what their records say, a lost record comes back (DESIGN §5 "Check")."""

from typing import Literal

from msgspec import Struct

from atp.domain.records import Reservation

#: What may differ from its records. Of a position: units of stock on hand, of a day of supply (``name``), tentative
#: ones, and a source's number; of a sku: what a seller (``name``) used, and sums that are made anew when they are
#: asked for; of a customer: units held (``name`` is channel US customer) and bought (campaign US customer).
Counter = Literal[
    "held", "committed", "pegged", "due", "quantity", "contended", "number", "used", "sums", "holding", "buyers"
]


class Correction(Struct, array_like=True):
    """One counter, and by how much it is to change."""

    counter: Counter
    name: str
    by: int
    value: int = 0  # used: since when its seller counts; holding and buyers: what was seen; quantity: the day's start


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
    """Make deadline and order index agree with a reservation's record; with ``record``, first put that one back.

    It is the journal's, and only counts if the ledger has none, or an older one. Counters stay as they are.
    """

    id: str
    order_ref: str  # an order that may name it
    record: list[Reservation]  # one, or none
    raised: int
    client: str = ""
    cause: str = ""
