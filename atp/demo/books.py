"""The buyers' own books: what the service told them for certain, and nothing else.

They are written from answers only and compared with the service at the end (``checks``).
"""

from collections import Counter
from typing import Literal

from msgspec import Struct, field

from atp.domain.ids import reservation_id

#: Texts of contradictions that are kept; the number of all is.
_KEPT = 20

End = Literal["held", "committed", "released", "expired"]


class Request(Struct, frozen=True):
    """What a reservation's id follows from."""

    key: str
    first_sku: str

    def id(self, client: str) -> str:
        """The id of its reservation, whether or not there is one."""
        return reservation_id(client, self.key, self.first_sku)


class SoldLine(Struct):
    """One line of a reservation, and what must have become of it as a whole."""

    line_id: str
    sku: str
    quantity: int
    allocations: dict[str, int]  # location → units
    end: End = "held"


class Sale(Struct):
    """One acknowledged reservation."""

    id: str
    lines: list[SoldLine]
    ends_after: float  # monotonic: it cannot have expired before
    request: Request

    def end(self, what: End) -> None:
        """All units that are still held meet this end."""
        for line in self.lines:
            if line.end == "held":
                line.end = what

    @property
    def state(self) -> str:
        """The overall state by the contract's rule (R37)."""
        ends = {line.end for line in self.lines}
        return next(state for state in ("held", "committed", "expired", "released") if state in ends)


class Books(Struct):
    """What all buyers know together."""

    sales: dict[str, Sale] = field(default_factory=dict)
    refused: list[Request] = field(default_factory=list)  # for good: nothing may exist under them
    answers: int = 0  # definite ones
    contradictions: list[str] = field(default_factory=list)
    contradicted: int = 0
    unsettled: list[str] = field(default_factory=list)  # requests whose outcome was never learned

    def contradict(self, text: str) -> None:
        """An answer that the contract does not allow."""
        self.contradicted += 1
        if len(self.contradictions) < _KEPT:
            self.contradictions.append(text)

    def units(self, *ends: End) -> Counter[tuple[str, str]]:
        """(sku, location) → units of lines that ended in one of these ways."""
        found: Counter[tuple[str, str]] = Counter()
        for sale in self.sales.values():
            for line in sale.lines:
                if line.end in ends:
                    for at, quantity in line.allocations.items():
                        found[line.sku, at] += quantity
        return found

    def lines(self, end: End) -> int:
        """Sales with a line of this end."""
        return sum(any(line.end == end for line in sale.lines) for sale in self.sales.values())
