"""One broken promise."""

from collections import Counter
from collections.abc import Iterable, Sequence
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


def tell(violations: Sequence[Violation]) -> str:
    """The first of them, for people."""
    texts = [f"{violation.check} {violation.sort}: {violation.text[:1_200]}" for violation in violations[:10]]
    return "\n".join([f"{len(violations)} in all", *texts])
