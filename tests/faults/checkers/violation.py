"""One broken promise."""

from collections import Counter
from collections.abc import Iterable
from typing import Literal

from msgspec import Struct

Sort = Literal["lost", "doubled", "oversold", "stranded", "wrong"]
SORTS: tuple[Sort, ...] = ("lost", "doubled", "oversold", "stranded", "wrong")


class Violation(Struct, frozen=True):
    """Which check found it, what sort it is, and what it saw."""

    check: str
    sort: Sort
    text: str


def count(violations: Iterable[Violation]) -> Counter[str]:
    """How many there are of each sort."""
    return Counter(violation.sort for violation in violations)
