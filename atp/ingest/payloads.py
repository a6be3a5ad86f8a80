"""The data of stock events (CONTRACT "NATS"), decoded and checked to the last character."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from atp.domain.identifiers import LocationId, Sku, fault
from atp.ingest.reasons import Reason, Rejected
from atp.ingest.strictjson import decoder_of, refuse_repeated_keys

#: Levels may be negative, because systems do report negative stock (R14); totals stay below 2⁵³.
Quantity = Annotated[int, Meta(ge=-1_000_000_000, le=1_000_000_000)]


class LevelLine(Struct, forbid_unknown_fields=True, gc=False):
    """How many units a source counts at one position."""

    sku: Sku
    location: LocationId
    quantity: Quantity
    measure: Literal["on_hand", "sellable", "available"] | UnsetType = UNSET
    includes: Raw | UnsetType = UNSET


class DeltaLine(Struct, forbid_unknown_fields=True, gc=False):
    """By how many units a position changed."""

    sku: Sku
    location: LocationId
    quantity: Quantity
    reason: Annotated[str, Meta(max_length=256)] | UnsetType = UNSET


class LevelData(Struct, forbid_unknown_fields=True):
    lines: Annotated[list[LevelLine], Meta(min_length=1, max_length=1_000)]


class DeltaData(Struct, forbid_unknown_fields=True):
    lines: Annotated[list[DeltaLine], Meta(min_length=1, max_length=1_000)]


class HeartbeatData(Struct, forbid_unknown_fields=True):
    sequence: str | int | UnsetType = UNSET


_decode_level = decoder_of(LevelData)
_decode_delta = decoder_of(DeltaData)
_decode_heartbeat = decoder_of(HeartbeatData)


def level_lines(data: bytes | Raw, root: str) -> list[LevelLine]:
    """The lines of a level event. Raises Rejected; two lines for one position contradict each other and are refused."""
    lines = _decode_level(data, root, Reason.INVALID_DATA).lines
    options = 0
    for index, line in enumerate(lines):
        _check_identifiers(line, root, index)
        if line.includes is not UNSET:
            # Taken without it, the level would deduct the orders it already includes a second time (R1).
            raise Rejected(Reason.UNSUPPORTED_FIELD, f"{root}.lines[{index}].includes is not supported yet")
        options += line.measure is not UNSET
    _check_keys(data, 1 + 3 * len(lines) + options)
    if len(lines) > 1:
        _check_distinct(lines, root)
    return lines


def delta_lines(data: bytes | Raw, root: str) -> list[DeltaLine]:
    """The lines of a delta event; the same position may stand on several. Raises Rejected."""
    lines = _decode_delta(data, root, Reason.INVALID_DATA).lines
    options = 0
    for index, line in enumerate(lines):
        _check_identifiers(line, root, index)
        if not line.quantity:
            raise Rejected(Reason.INVALID_DATA, f"{root}.lines[{index}].quantity: a delta of 0 says nothing")
        options += line.reason is not UNSET
    _check_keys(data, 1 + 3 * len(lines) + options)
    return lines


def check_heartbeat(data: bytes | Raw, root: str) -> None:
    """Raise Rejected unless the data is a heartbeat's, or empty."""
    if bytes(data).strip():
        _decode_heartbeat(data, root, Reason.INVALID_DATA)


def _check_identifiers(line: LevelLine | DeltaLine, root: str, index: int) -> None:
    if wrong := fault(line.sku):
        raise Rejected(Reason.INVALID_IDENTIFIER, f"{root}.lines[{index}].sku {wrong}")
    if wrong := fault(line.location):
        raise Rejected(Reason.INVALID_IDENTIFIER, f"{root}.lines[{index}].location {wrong}")


def _check_keys(data: bytes | Raw, expected: int) -> None:
    """Refuse repeated keys, mostly by counting: each key brings a colon, and only values can bring more."""
    if bytes(data).count(b":") != expected:
        refuse_repeated_keys(data)


def _check_distinct(lines: list[LevelLine], root: str) -> None:
    first: dict[tuple[str, str], int] = {}
    for index, line in enumerate(lines):
        before = first.setdefault((line.sku, line.location), index)
        if before != index:
            raise Rejected(
                Reason.DUPLICATE_LINE,
                f"{root}.lines[{index}] is for the same sku and location as lines[{before}]",
            )
