"""Views: the contract's JSON shape of a reservation, for HTTP answers and for events (CONTRACT "Reservation").

The descriptions become the OpenAPI schema. Fields stand in the contract's order, because that is how people read them.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct, json

from atp.domain.records import Allocation, Line, Reservation
from atp.domain.times import rfc3339

State = Literal["held", "committed", "acknowledged", "fulfilled", "released", "expired"]

ExpiresAt = Annotated[str | None, Meta(description="Deadline of the held units; null when nothing is held.")]
ExpiresIn = Annotated[
    int | None, Meta(description="The same as a distance, for callers whose clock is off; null when nothing is held.")
]
CreatedAt = Annotated[str, Meta(description="When the units were first held.")]
Channel = Annotated[str, Meta(description="Channel the units were sold through.")]
Customer = Annotated[
    str | None,
    Meta(description="Customer, if one was named: a digest of the caller's text where the deployment has a key."),
]
OrderRef = Annotated[str | None, Meta(description="The caller's order, if one was named.")]
Campaign = Annotated[str | None, Meta(description="Campaign the units were taken from, if any.")]
Metadata = Annotated[dict[str, str], Meta(description="Kept for the caller as it was sent.")]

_decode_metadata = json.Decoder(dict[str, str]).decode


class AllocationView(Struct, frozen=True, gc=False):
    """Units of one line at one location."""

    location: Annotated[str, Meta(description="Where the units are.")]
    quantity: Annotated[int, Meta(description="Units granted here, whatever became of them.")]
    supply: Annotated[str, Meta(description="`on_hand`, or `incoming:<date>` for supply that is still to arrive.")]


class LineView(Struct, frozen=True):
    """One line of a reservation."""

    line_id: Annotated[str, Meta(description="The caller's name of the line, or its number counted from 1.")]
    sku: Annotated[str, Meta(description="What is reserved.")]
    requested: Annotated[int, Meta(description="Units asked for.")]
    quantity: Annotated[int, Meta(description="Units granted = held + committed + fulfilled + released + expired.")]
    held: Annotated[int, Meta(description="Units kept until the deadline.")]
    committed: Annotated[int, Meta(description="Units confirmed to an order and not yet shipped.")]
    acknowledged: Annotated[int, Meta(description="Part of `committed` that the stock's own source already counts.")]
    fulfilled: Annotated[int, Meta(description="Units shipped.")]
    released: Annotated[int, Meta(description="Units given back.")]
    expired: Annotated[int, Meta(description="Units whose deadline passed unconfirmed.")]
    allocations: Annotated[list[AllocationView], Meta(description="Where the granted units come from.")]


Lines = Annotated[list[LineView], Meta(description="In the order of the request; of a partial grant also empty ones.")]


class ReservationView(Struct, frozen=True):
    """One reservation as it is now."""

    id: Annotated[str, Meta(description="Derived from client, Idempotency-Key and first sku; a repeat finds it.")]
    state: Annotated[
        State,
        Meta(
            description="`held` if any unit is held, else `committed` if any is committed and not acknowledged, "
            "else `acknowledged`; with none live `fulfilled` if any was, else `expired` if any, else `released`."
        ),
    ]
    expires_at: ExpiresAt
    expires_in_seconds: ExpiresIn
    created_at: CreatedAt
    channel: Channel
    customer: Customer
    order_ref: OrderRef
    campaign: Campaign
    metadata: Metadata
    lines: Lines
    position: Annotated[str, Meta(description="`partition:seq` of the last change.")]


class QuoteView(Struct, frozen=True):
    """What a dry run would have held: a reservation without id and position, because there is none (R36)."""

    state: Literal["held"]
    expires_at: ExpiresAt
    expires_in_seconds: ExpiresIn
    created_at: CreatedAt
    channel: Channel
    customer: Customer
    order_ref: OrderRef
    campaign: Campaign
    metadata: Metadata
    lines: Lines


def reservation_view(record: Reservation, partition: int, now_ms: int) -> ReservationView:
    """What callers see of ``record``; ``now_ms`` only serves ``expires_in_seconds``.

    The distance is rounded up: a fresh hold of ten minutes reads 600, and the two seconds of grace behind every
    deadline (R17) are more than the rounding gives away.
    """
    state = record.state
    held = state == "held"  # by definition: any held unit makes the state
    return ReservationView(
        record.id,
        state,  # pyright: ignore[reportArgumentType]
        rfc3339(record.expires_at) if held else None,
        max(0, -((now_ms - record.expires_at) // 1000)) if held else None,
        rfc3339(record.created_at),
        record.channel,
        record.customer or None,
        record.order_ref or None,
        record.campaign or None,
        _decode_metadata(record.metadata) if record.metadata else {},
        [_line_view(line) for line in record.lines],
        f"{partition}:{record.seq}",
    )


def quote_view(record: Reservation, now_ms: int) -> QuoteView:
    """What callers see of the ``record`` that a dry run did not store."""
    whole = reservation_view(record, 0, now_ms)
    return QuoteView(*(getattr(whole, name) for name in QuoteView.__struct_fields__))


def _line_view(line: Line) -> LineView:
    held = committed = acknowledged = fulfilled = released = expired = 0
    for a in line.allocations:  # mostly one
        held += a.held
        committed += a.committed
        acknowledged += a.acknowledged
        fulfilled += a.fulfilled
        released += a.released
        expired += a.expired
    return LineView(
        line.line_id,
        line.sku,
        line.requested,
        held + committed + fulfilled + released + expired,
        held,
        committed,
        acknowledged,
        fulfilled,
        released,
        expired,
        _allocation_views(line.allocations),
    )


def _allocation_views(allocations: list[Allocation]) -> list[AllocationView]:
    """One per place and supply. A transfer may leave none at a place, and then there is nothing to show."""
    if len(allocations) == 1 and (units := allocations[0].quantity):  # as most lines have
        return [AllocationView(allocations[0].location, units, _supply(allocations[0].supply))]
    quantities: dict[tuple[str, str], int] = {}
    for a in allocations:
        place = a.location, a.supply
        quantities[place] = quantities.get(place, 0) + a.quantity
    return [
        AllocationView(location, quantity, _supply(supply))
        for (location, supply), quantity in quantities.items()
        if quantity
    ]


def _supply(day: str) -> str:
    return f"incoming:{day}" if day else "on_hand"
