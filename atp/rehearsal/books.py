"""What the people of a rehearsal were told, and how long it took; times in seconds of the sale."""

from array import array
from collections import Counter
from typing import Literal

from msgspec import Struct, field

End = Literal["held", "committed", "released", "expired"]


class Sale(Struct):
    """One acknowledged reservation, whose lines share one fate."""

    units: dict[tuple[str, str], int]  # (sku, location) → granted
    end: End = "held"


class Books(Struct):
    """All that buyers know together."""

    sales: dict[str, Sale] = field(default_factory=dict)  # by id
    refused: Counter[str] = field(default_factory=Counter)  # by outcome
    unsettled: int = 0  # commands that nobody had an answer to
    again: int = 0  # commands sent again, because the ledger was busy or away
    late: int = 0  # confirms that came when the hold had ended
    latencies_ms: "array[float]" = field(default_factory=lambda: array("d"))  # of reserves, as they really took
    paid_s: "array[float]" = field(default_factory=lambda: array("d"))  # from hold to confirm
    requests: Counter[int] = field(default_factory=Counter)  # by second of the sale
    granted: Counter[int] = field(default_factory=Counter)  # holds, by second of the sale
    last_sold_s: dict[str, float] = field(default_factory=dict)  # sku → the last time that units were to be had
    gone_s: dict[str, float] = field(default_factory=dict)  # sku → first time that nothing was left

    def units(self, *ends: End) -> Counter[tuple[str, str]]:
        """Units of reservations that ended so, by position."""
        found: Counter[tuple[str, str]] = Counter()
        for sale in self.sales.values():
            if sale.end in ends:
                found.update(sale.units)
        return found

    def count(self, end: End) -> int:
        """Reservations that ended so."""
        return sum(sale.end == end for sale in self.sales.values())
