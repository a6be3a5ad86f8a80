"""Incoming supply: what is announced for a day, and what of it arrived (CONTRACT "NATS", R10)."""

from datetime import date
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from atp.domain.commands import Incoming, Received
from atp.domain.identifiers import REF_MAX, LocationId, Sku
from atp.ingest.events.checks import LINES, Count, Units, check_distinct, check_identifier, check_keys, check_places
from atp.ingest.events.told import Told
from atp.ingest.reasons import Reason, Rejected
from atp.ingest.strictjson import decoder_of

_SupplyId = Annotated[str, Meta(min_length=1, max_length=REF_MAX)]

#: An earlier day is a field that nobody filled.
_EARLIEST = date(1970, 1, 1)


class IncomingLine(Struct, forbid_unknown_fields=True, gc=False):
    """How many units of a delivery a position gets, and when; 0 takes it away."""

    sku: Sku
    location: LocationId
    quantity: Count
    expected_on: date | UnsetType = UNSET


class ReceivedLine(Struct, forbid_unknown_fields=True, gc=False):
    """How many units of a delivery arrived at a position."""

    sku: Sku
    location: LocationId
    quantity: Units


class IncomingData(Struct, forbid_unknown_fields=True):
    """A delivery is expected."""

    supply_id: _SupplyId
    lines: Annotated[list[IncomingLine], LINES]


class ReceivedData(Struct, forbid_unknown_fields=True):
    """A delivery arrived."""

    supply_id: _SupplyId
    lines: Annotated[list[ReceivedLine], LINES]


_decode_incoming = decoder_of(IncomingData)
_decode_received = decoder_of(ReceivedData)


def incoming(told: Told) -> list[Incoming]:
    """A command a line; when their day begins at the location is found out before they are applied."""
    event, root, version = told.event, told.event.root, told.version()
    data = _decode_incoming(event.data, root, Reason.INVALID_DATA)
    check_identifier(data.supply_id, f"{root}.supply_id", REF_MAX)
    check_places(data.lines, root)
    days = [_day(line, f"{root}.lines[{index}].expected_on") for index, line in enumerate(data.lines)]
    check_keys(event.data, 2 + 3 * len(days) + sum(line.expected_on is not UNSET for line in data.lines))
    check_distinct(data.lines, root)
    return [
        Incoming(
            line.sku, line.location, told.source, line.quantity, version.kind, version.number,
            told.stream, told.position, version.as_of, data.supply_id, day, 0, event.cause,
        )
        for line, day in zip(data.lines, days, strict=True)
    ]  # fmt: skip


def received(told: Told) -> list[Received]:
    """A command a line; the same position may stand on several."""
    event, root, version = told.event, told.event.root, told.version()
    data = _decode_received(event.data, root, Reason.INVALID_DATA)
    check_identifier(data.supply_id, f"{root}.supply_id", REF_MAX)
    check_places(data.lines, root)
    check_keys(event.data, 2 + 3 * len(data.lines))
    return [
        Received(
            line.sku, line.location, told.source, line.quantity, version.kind, version.number,
            told.stream, told.position, version.as_of, told.line(index), data.supply_id, event.cause,
        )
        for index, line in enumerate(data.lines)
    ]  # fmt: skip


def _day(line: IncomingLine, path: str) -> str:
    if line.expected_on is UNSET:
        if line.quantity:
            raise Rejected(Reason.INVALID_DATA, f"{path} is missing; only a quantity of 0 needs no day")
        return ""
    if line.expected_on < _EARLIEST:
        raise Rejected(Reason.INVALID_DATA, f"{path}: {line.expected_on} is before 1970")
    return line.expected_on.isoformat() if line.quantity else ""
