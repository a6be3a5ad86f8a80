"""Events about orders, and returns: what left, was cancelled or is counted, and what came back (R1, R8, R9)."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from atp.domain.commands import TakeBack, TellOrder
from atp.domain.identifiers import REF_MAX, LocationId, Sku, fault
from atp.domain.ids import digest53, reservation_partition, shipment_digest
from atp.domain.order_commands import OrderLine
from atp.ingest.events.checks import LINES, Units, check_identifier, check_keys, check_places
from atp.ingest.events.told import Told
from atp.ingest.reasons import Reason, Rejected
from atp.ingest.strictjson import decoder_of

_Ref = Annotated[str, Meta(min_length=1, max_length=REF_MAX)]


class Line(Struct, forbid_unknown_fields=True, gc=False):
    """Units of an order; without a location, wherever they were promised."""

    sku: Sku
    quantity: Units
    location: LocationId | UnsetType = UNSET
    reason: Literal["customer", "short"] | UnsetType = UNSET


class ReturnLine(Struct, forbid_unknown_fields=True, gc=False):
    """Units that came back."""

    sku: Sku
    location: LocationId
    quantity: Units
    sellable: bool


class OrderData(Struct, forbid_unknown_fields=True):
    """What became of an order."""

    order_ref: _Ref | UnsetType = UNSET
    reservation: _Ref | UnsetType = UNSET
    lines: Annotated[list[Line], LINES] | UnsetType = UNSET
    shipment: _Ref | UnsetType = UNSET
    complete: bool | UnsetType = UNSET


class ReturnData(Struct, forbid_unknown_fields=True):
    """Units that came back."""

    lines: Annotated[list[ReturnLine], LINES]
    order_ref: _Ref | UnsetType = UNSET


_decode_order = decoder_of(OrderData)
_decode_return = decoder_of(ReturnData)


def fulfilled(told: Told) -> list[TellOrder]:
    """Units left, wherever and whatever they were promised as."""
    return [_order("fulfilled", told)]


def cancelled(told: Told) -> list[TellOrder]:
    """Units go back, or were not on the shelf."""
    return [_order("cancelled", told)]


def acknowledged(told: Told) -> list[TellOrder]:
    """The source counts the order from this version on."""
    return [_order("acknowledged", told)]


def returned(told: Told) -> list[TakeBack]:
    """A command a line; the same position may stand on several."""
    event, root, version = told.event, told.event.root, told.version()
    data = _decode_return(event.data, root, Reason.INVALID_DATA)
    order = _checked_ref(data.order_ref, f"{root}.order_ref")
    check_places(data.lines, root)
    check_keys(event.data, 1 + 4 * len(data.lines) + bool(order))
    return [
        TakeBack(
            line.sku, line.location, told.source, line.quantity, version.kind, version.number,
            told.stream, told.position, version.as_of, told.line(index), line.sellable, order, event.cause,
        )
        for index, line in enumerate(data.lines)
    ]  # fmt: skip


def _order(what: str, told: Told) -> TellOrder:
    event, root, version = told.event, told.event.root, told.version()
    data = _decode_order(event.data, root, Reason.INVALID_DATA)
    order = _checked_ref(data.order_ref, f"{root}.order_ref")
    reservation = _checked_ref(data.reservation, f"{root}.reservation")
    if bool(order) == bool(reservation):
        raise Rejected(Reason.INVALID_DATA, f"{root}: name either an order_ref or a reservation")
    if reservation and reservation_partition(reservation, 1) is None:
        raise Rejected(Reason.INVALID_IDENTIFIER, f"{root}.reservation is not the id of a reservation")
    shipment = _checked_ref(data.shipment, f"{root}.shipment")
    given = 1 + (data.shipment is not UNSET) + (data.complete is not UNSET) + (data.lines is not UNSET)
    if what != "fulfilled":
        for name, value in (("shipment", data.shipment), ("complete", data.complete)):
            if value is not UNSET:
                raise Rejected(Reason.INVALID_DATA, f"{root}.{name} is said of what is fulfilled, not {what}")
    lines = [] if data.lines is UNSET else data.lines
    for index, line in enumerate(lines):
        given += 2 + _check_line(what, line, f"{root}.lines[{index}]")
    check_keys(event.data, given)
    return TellOrder(
        what, reservation, told.source, order, version.kind, version.number, told.stream, told.position, version.as_of,
        digest53(told.source, event.id), _summed(lines), shipment_digest(shipment) if shipment else 0,
        data.complete is True, event.cause,
    )  # fmt: skip


def _check_line(what: str, line: Line, path: str) -> int:
    """Returns how many of the fields are there that need not be."""
    if wrong := fault(line.sku):
        raise Rejected(Reason.INVALID_IDENTIFIER, f"{path}.sku {wrong}")
    if line.location is not UNSET:
        check_identifier(line.location, f"{path}.location")
    if line.reason is not UNSET and what != "cancelled":
        raise Rejected(Reason.INVALID_DATA, f"{path}.reason is said of what is cancelled, not {what}")
    return (line.location is not UNSET) + (line.reason is not UNSET)


def _summed(lines: list[Line]) -> list[OrderLine]:
    """The same units on several lines are one line: who picks a unit at a time counts them all."""
    units: dict[tuple[str, str, bool], int] = {}
    for line in lines:
        key = (line.sku, "" if line.location is UNSET else line.location, line.reason == "short")
        units[key] = units.get(key, 0) + line.quantity
    return [OrderLine(sku, quantity, location, short) for (sku, location, short), quantity in units.items()]


def _checked_ref(ref: str | UnsetType, path: str) -> str:
    if ref is UNSET:
        return ""
    check_identifier(ref, path, REF_MAX)
    return ref
