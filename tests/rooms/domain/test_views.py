"""The contract's reservation, field by field."""

from msgspec import json

from atp.domain.records import Allocation, Line, Reservation
from atp.domain.times import rfc3339
from atp.domain.views import AllocationView, quote_view, reservation_view

CREATED = 1_795_255_200_123  # 2026-11-21T10:00:00.123Z


def record(*allocations: Allocation, metadata: str = "", customer: str = "") -> Reservation:
    lines = [Line("1", "TSHIRT-M", 5, list(allocations))]
    return Reservation(
        "r1", CREATED, CREATED + 600_000, 1234, 1200, 7, "shop", "web", customer, "", "", metadata, lines, []
    )


def test_a_hold_in_the_contracts_shape() -> None:
    held = record(Allocation("DC1", "", 2, 0), Allocation("DC2", "2026-12-01", 3, 0), metadata='{"k":"v"}')
    assert json.decode(json.encode(reservation_view(held, 0, CREATED))) == {
        "id": "r1",
        "state": "held",
        "expires_at": "2026-11-21T10:10:00.123Z",
        "expires_in_seconds": 600,
        "created_at": "2026-11-21T10:00:00.123Z",
        "channel": "web",
        "customer": None,
        "order_ref": None,
        "campaign": None,
        "metadata": {"k": "v"},
        "lines": [
            {
                "line_id": "1", "sku": "TSHIRT-M", "requested": 5, "quantity": 5,
                "held": 5, "committed": 0, "acknowledged": 0, "fulfilled": 0, "released": 0, "expired": 0,
                "allocations": [
                    {"location": "DC1", "quantity": 2, "supply": "on_hand"},
                    {"location": "DC2", "quantity": 3, "supply": "incoming:2026-12-01"},
                ],
            }
        ],
        "position": "0:1234",
    }  # fmt: skip


def test_quantity_counts_what_was_granted_whatever_became_of_it() -> None:
    mixed = Allocation("DC1", "", 1, 2, acknowledged=1, fulfilled=3, released=4, expired=5)
    (line,) = reservation_view(record(mixed), 0, CREATED).lines
    assert line.quantity == line.allocations[0].quantity == 15
    assert line.acknowledged == 1


def test_no_deadline_where_nothing_is_held() -> None:
    view = reservation_view(record(Allocation("DC1", "", 0, 2)), 3, CREATED)
    assert (view.state, view.expires_at, view.expires_in_seconds) == ("committed", None, None)
    assert view.position == "3:1234"


def test_distance_to_the_deadline_is_rounded_up_and_never_negative() -> None:
    held = record(Allocation("DC1", "", 1, 0))
    assert reservation_view(held, 0, CREATED + 1).expires_in_seconds == 600
    assert reservation_view(held, 0, CREATED + 1_000).expires_in_seconds == 599
    assert reservation_view(held, 0, CREATED + 600_001).expires_in_seconds == 0


def test_times_before_and_at_the_second() -> None:
    assert rfc3339(0) == "1970-01-01T00:00:00.000Z"
    assert rfc3339(-1) == "1969-12-31T23:59:59.999Z"


def test_places_are_merged_and_empty_ones_left_out() -> None:
    moved = record(
        Allocation("DC1", "", 0, 0),  # everything was transferred away
        Allocation("DC2", "", 1, 2, acknowledged=1),
        Allocation("DC2", "", 0, 0, fulfilled=1),
        Allocation("DC2", "2026-12-01", 1, 0),
    )
    view = reservation_view(moved, 0, CREATED)
    (line,) = view.lines
    assert line.allocations == [AllocationView("DC2", 4, "on_hand"), AllocationView("DC2", 1, "incoming:2026-12-01")]
    assert line.quantity == sum(at.quantity for at in line.allocations) == 5


def test_a_line_that_was_granted_nothing_is_there() -> None:
    (line,) = reservation_view(record(), 0, CREATED).lines
    assert (line.requested, line.quantity, line.allocations) == (5, 0, [])


def test_a_quote_is_a_reservation_without_id_and_position() -> None:
    held = record(Allocation("DC1", "", 2, 0), metadata='{"k":"v"}')
    quote = json.decode(json.encode(quote_view(held, CREATED)))
    whole = json.decode(json.encode(reservation_view(held, 0, CREATED)))
    assert quote == {name: value for name, value in whole.items() if name not in {"id", "position"}}
