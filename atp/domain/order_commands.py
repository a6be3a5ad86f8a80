"""Commands about orders and what comes back, as sources tell of them; ``commands`` has them among all others."""

from msgspec import Struct


class OrderLine(Struct, array_like=True):
    """What became of units of an order; ``location`` "" is wherever they were promised."""

    sku: str
    quantity: int
    location: str = ""
    short: bool = False  # cancelled because the shelf was empty (R9)


class TellOrder(Struct, array_like=True, tag=7):
    """A source says what became of an order: units left, were cancelled, or are counted by it (R1, R8, R9).

    It speaks of one reservation, or of all of an order, oldest first. No lines means all of it.
    """

    what: str  # "fulfilled", "cancelled" or "acknowledged"
    reservation: str  # id, or ""
    source: str
    order: str  # order_ref, or ""
    version_kind: str
    version: tuple[int, int]
    stream: str
    position: int
    as_of: int
    event: int  # digest53 of source and event id
    lines: list[OrderLine]
    shipment: int = 0  # as in Fulfil
    complete: bool = False  # the rest of the order at these locations will not come: it is released as short
    cause: str = ""
    part: str = ""  # "stock" or "order" where they are in different partitions, "" for both

    @property
    def name(self) -> str:
        """What it speaks of, as exceptions name it."""
        return self.order or self.reservation


class Include(Struct, array_like=True, tag=40):
    """A level is net of what these reservations have committed at its position, as of the level's version (R39).

    Its source said so by a position of atp's own events; which reservations these are is asked of the journal, and
    sent in pages before the level.
    """

    sku: str
    location: str
    source: str
    through: int  # the highest seq of a commitment that the source has booked
    version_kind: str
    version: tuple[int, int]
    stream: str
    position: int
    as_of: int
    measure: str = ""  # as in Level
    cause: str = ""
    ids: list[str] = []


class TakeBack(Struct, array_like=True, tag=8):
    """Units came back, by the word of any source; those that cannot be sold are set aside until its next status."""

    sku: str
    location: str
    source: str
    quantity: int
    version_kind: str
    version: tuple[int, int]
    stream: str
    position: int
    as_of: int
    event: int  # as in Delta
    sellable: bool
    order: str = ""
    cause: str = ""
