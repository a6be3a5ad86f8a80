"""Levels, deltas and statuses: what a source counts, by how much that changed, what cannot be sold."""

from collections.abc import Sequence
from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from atp.domain.commands import Delta, Level, Status
from atp.domain.identifiers import REF_MAX, LocationId, Sku
from atp.domain.order_commands import Include
from atp.ingest.events.checks import LINES, Count, Quantity, check_distinct, check_identifier, check_keys, check_places
from atp.ingest.events.told import Told, Version
from atp.ingest.reasons import Reason, Rejected
from atp.ingest.strictjson import decoder_of


class Includes(Struct, forbid_unknown_fields=True, gc=False):
    """Orders that a number of measure `available` is net of already, by name or by our own position (R1, R39)."""

    orders: Annotated[list[Annotated[str, Meta(min_length=1, max_length=REF_MAX)]], Meta(max_length=1_000)] = []
    through: Annotated[int, Meta(ge=0, le=(1 << 53) - 1)] | UnsetType = UNSET

    def told(self) -> int:
        """How many of its keys are there."""
        return bool(self.orders) + (self.through is not UNSET)


class LevelLine(Struct, forbid_unknown_fields=True, gc=False):
    """How many units a source counts at one position."""

    sku: Sku
    location: LocationId
    quantity: Quantity
    measure: Literal["on_hand", "sellable", "available"] | UnsetType = UNSET
    includes: Includes | UnsetType = UNSET


class DeltaLine(Struct, forbid_unknown_fields=True, gc=False):
    """By how many units a position changed."""

    sku: Sku
    location: LocationId
    quantity: Quantity
    reason: Annotated[str, Meta(max_length=256)] | UnsetType = UNSET


class StatusLine(Struct, forbid_unknown_fields=True, gc=False):
    """How many units of a position cannot be sold."""

    sku: Sku
    location: LocationId
    unsellable: Count


class LevelData(Struct, forbid_unknown_fields=True):
    """What a source counts."""

    lines: Annotated[list[LevelLine], LINES]


class DeltaData(Struct, forbid_unknown_fields=True):
    """By how much positions changed."""

    lines: Annotated[list[DeltaLine], LINES]


class StatusData(Struct, forbid_unknown_fields=True):
    """What cannot be sold."""

    lines: Annotated[list[StatusLine], LINES]


_decode_levels = decoder_of(LevelData)
_decode_deltas = decoder_of(DeltaData)
_decode_statuses = decoder_of(StatusData)


def levels(told: Told) -> Sequence[Level | Include]:
    """A command a line, behind what lines include by a position of ours.

    Raises Rejected; two lines for one position contradict each other and are refused.
    """
    event, root, version = told.event, told.event.root, told.version()
    lines = _decode_levels(event.data, root, Reason.INVALID_DATA).lines
    check_places(lines, root)
    options = 0
    for index, line in enumerate(lines):
        options += line.measure is not UNSET
        if line.includes is not UNSET:
            check_includes(line.includes, f"{root}.lines[{index}].includes")
            options += 1 + line.includes.told()
    check_keys(event.data, 1 + 3 * len(lines) + options)
    check_distinct(lines, root)
    levels = [
        Level(
            line.sku, line.location, told.source, line.quantity, version.kind, version.number,
            told.stream, told.position, version.as_of, "" if line.measure is UNSET else line.measure, event.cause,
            [] if line.includes is UNSET else line.includes.orders,
        )
        for line in lines
    ]  # fmt: skip
    return [*booked(told, version, lines), *levels] if options else levels


def booked(told: Told, version: Version, lines: Sequence[LevelLine], measure: str = "") -> list[Include]:
    """What lines include by a position of our own events; which reservations that is, the journal will say."""
    return [
        Include(
            line.sku, line.location, told.source, line.includes.through, version.kind, version.number,
            told.stream, told.position, version.as_of, measure or ("" if line.measure is UNSET else line.measure),
            told.event.cause,
        )
        for line in lines
        if line.includes is not UNSET and line.includes.through is not UNSET
    ]  # fmt: skip


def deltas(told: Told) -> list[Delta]:
    """A command a line; the same position may stand on several. Raises Rejected."""
    event, root, version = told.event, told.event.root, told.version()
    lines = _decode_deltas(event.data, root, Reason.INVALID_DATA).lines
    check_places(lines, root)
    options = 0
    for index, line in enumerate(lines):
        if not line.quantity:
            raise Rejected(Reason.INVALID_DATA, f"{root}.lines[{index}].quantity: a delta of 0 says nothing")
        options += line.reason is not UNSET
    check_keys(event.data, 1 + 3 * len(lines) + options)
    return [
        Delta(
            line.sku, line.location, told.source, line.quantity, version.kind, version.number,
            told.stream, told.position, version.as_of, told.line(index), event.cause,
        )
        for index, line in enumerate(lines)
    ]  # fmt: skip


def statuses(told: Told) -> list[Status]:
    """A command a line. Raises Rejected; two lines for one position contradict each other and are refused."""
    event, root, version = told.event, told.event.root, told.version()
    lines = _decode_statuses(event.data, root, Reason.INVALID_DATA).lines
    check_places(lines, root)
    check_keys(event.data, 1 + 3 * len(lines))
    check_distinct(lines, root)
    return [
        Status(
            line.sku, line.location, told.source, line.unsellable, version.kind, version.number,
            told.stream, told.position, version.as_of, event.cause,
        )
        for line in lines
    ]  # fmt: skip


def check_includes(includes: Includes, path: str) -> None:
    """Raise Rejected for an order that is no identifier."""
    for index, order in enumerate(includes.orders):
        check_identifier(order, f"{path}.orders[{index}]", REF_MAX)
