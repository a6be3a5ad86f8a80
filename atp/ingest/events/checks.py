"""What the lines of all kinds of events have in common: identifiers, bounds, and nothing said twice."""

from collections.abc import Sequence
from typing import Annotated, Protocol

from msgspec import Meta, Raw

from atp.domain.identifiers import fault
from atp.ingest.reasons import Reason, Rejected
from atp.ingest.strictjson import refuse_repeated_keys

#: Units of a level or of a change; systems do report negative stock (R14). Totals stay below 2⁵³.
Quantity = Annotated[int, Meta(ge=-1_000_000_000, le=1_000_000_000)]

#: Units of what cannot be negative, and of what cannot be nothing either.
Count = Annotated[int, Meta(ge=0, le=1_000_000_000)]
Units = Annotated[int, Meta(ge=1, le=1_000_000_000)]

#: Lines of one event.
LINES = Meta(min_length=1, max_length=1_000)


class Placed(Protocol):
    """A line about one sku at one location."""

    @property
    def sku(self) -> str: ...
    @property
    def location(self) -> str: ...


def check_identifier(text: str, path: str, most: int | None = None) -> None:
    """Raise Rejected for a name that no other system should have to see."""
    if wrong := fault(text) if most is None else fault(text, most):
        raise Rejected(Reason.INVALID_IDENTIFIER, f"{path} {wrong}")


def check_places(lines: Sequence[Placed], root: str) -> None:
    """Raise Rejected for the first sku or location that is no identifier."""
    for index, line in enumerate(lines):
        if wrong := fault(line.sku):
            raise Rejected(Reason.INVALID_IDENTIFIER, f"{root}.lines[{index}].sku {wrong}")
        if wrong := fault(line.location):
            raise Rejected(Reason.INVALID_IDENTIFIER, f"{root}.lines[{index}].location {wrong}")


def check_keys(data: bytes | Raw, expected: int) -> None:
    """Refuse repeated keys, mostly by counting: each key brings a colon, and only values can bring more."""
    text = data if isinstance(data, bytes) else bytes(data)
    if text.count(b":") != expected:
        refuse_repeated_keys(data)


def check_distinct(lines: Sequence[Placed], root: str) -> None:
    """Two absolute numbers for one position contradict each other."""
    if len(lines) < 2:
        return
    first: dict[tuple[str, str], int] = {}
    for index, line in enumerate(lines):
        before = first.setdefault((line.sku, line.location), index)
        if before != index:
            raise Rejected(
                Reason.DUPLICATE_LINE,
                f"{root}.lines[{index}] is for the same sku and location as lines[{before}]",
            )
