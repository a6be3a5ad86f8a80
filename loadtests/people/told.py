"""What locust's process and the back office tell each other: one JSON line each way."""

from msgspec import Struct, field

from atp.demo.books import Books
from atp.proofs import Check


class Bought(Struct):
    """From locust, at the end of the sale: what all people know, and how many repeats were answered as repeats."""

    books: Books
    replayed: int = 0


class Proof(Struct):
    """From the office: every check of the demo, over what people bought and what feeders counted."""

    checks: list[Check]
    events: dict[str, int] = field(default_factory=dict)  # the feeders': levels, deltas, duplicates, …

    @property
    def ok(self) -> bool:
        """Whether all hold."""
        return bool(self.checks) and all(check.ok for check in self.checks)

    @property
    def oversold(self) -> str:
        """The figures of the check that matters most."""
        return next((check.detail for check in self.checks if check.name == "oversold"), "not compared")
