"""Bodies of changes to a reservation (CONTRACT "Reservation"): confirm, release, extend, fulfil, acknowledge, transfer.

The same split as in ``requests``: structs say what a schema can say, functions say the rest.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from atp.api.problems import invalid
from atp.api.resources.requests import LINES_MAX, Quantity, Ttl, check_identifier
from atp.domain.identifiers import REF_MAX, LineId, LocationId, OrderRef

REASON_MAX = 256

Reason = Annotated[str, Meta(min_length=1, max_length=REASON_MAX, description="Kept with the entry.")]
Shipment = Annotated[
    str, Meta(min_length=1, max_length=REF_MAX, description="The shipment's own id: it counts once, whoever tells it.")
]


class ChangeLineBody(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Units of one line of an existing reservation."""

    line_id: LineId
    quantity: Quantity


ChangeLines = Annotated[list[ChangeLineBody], Meta(min_length=1, max_length=LINES_MAX)]


class ConfirmBody(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Turn held units into committed ones; without lines, all of them."""

    order_ref: OrderRef | None = None
    lines: ChangeLines | None = None
    reacquire: Annotated[
        bool,
        Meta(
            description="Take expired units again and confirm everything, or be refused with figures. Not with lines."
        ),
    ] = False


class ReleaseBody(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Give units back; without lines, all of them. Without ``of``: held ones if there are any, else committed ones."""

    lines: ChangeLines | None = None
    of: Literal["held", "committed", "all"] | None = None
    reason: Reason | None = None


class ExtendBody(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Move the deadline to now + ``ttl_seconds``, never nearer."""

    ttl_seconds: Ttl


class FulfilBody(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Committed units left the house; without lines, all of them."""

    lines: ChangeLines | None = None
    shipment: Shipment | None = None


class AcknowledgeBody(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """The stock's source counts committed units; without lines, all of them."""

    lines: ChangeLines | None = None


class TransferBody(Struct, forbid_unknown_fields=True, omit_defaults=True, rename={"source": "from", "target": "to"}):
    """Move live units of one line from one location to another; held ones go first."""

    line_id: LineId
    source: LocationId
    target: LocationId
    quantity: Quantity


ChangeBody = ConfirmBody | ReleaseBody | ExtendBody | FulfilBody | AcknowledgeBody | TransferBody


def change_lines(lines: list[ChangeLineBody] | None) -> list[tuple[str, int]]:
    """(line_id, quantity) of the command; a line named twice is refused, since it is more likely a mistake."""
    if lines is None:
        return []
    found: dict[str, int] = {}
    for index, line in enumerate(lines):
        check_identifier(line.line_id, f"/lines/{index}/line_id")
        if line.line_id in found:
            raise invalid(f"The line {line.line_id!r} is named twice.", pointer=f"/lines/{index}/line_id")
        found[line.line_id] = line.quantity
    return list(found.items())


def check_confirm(body: ConfirmBody) -> None:
    """Raises Problem (400)."""
    check_identifier(body.order_ref, "/order_ref", REF_MAX)
    if body.reacquire and body.lines is not None:
        raise invalid("To reacquire is to confirm everything: leave out the lines.", pointer="/reacquire")


def check_transfer(body: TransferBody) -> None:
    """Raises Problem (400)."""
    check_identifier(body.line_id, "/line_id")
    check_identifier(body.source, "/from")
    check_identifier(body.target, "/to")
    if body.source == body.target:
        raise invalid("The units are there already.", pointer="/to")
