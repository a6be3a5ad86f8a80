"""The contract's types beside levels and deltas: what becomes of each, and every way in which one can be wrong."""

from datetime import UTC, datetime

import pytest

from atp.domain.commands import Incoming, Received, Status, Touch
from atp.domain.ids import digest53
from atp.ingest import days
from atp.ingest.events import INCOMING, RECEIVED, STATUS, TOUCH
from tests.rooms.ingest.sent import LINE, binary, decode, rejected

PLACE = {"sku": "TSHIRT-M", "location": "DC1"}
DUE = LINE | {"expected_on": "2026-12-01"}


def test_a_status_becomes_a_command_per_line():
    expected = Status("TSHIRT-M", "DC1", "wms-east", 3, "sequence", (0, 42), "STOCK/0", 7, 0, "event=e-1")
    assert decode(binary(STATUS, {"lines": [PLACE | {"unsellable": 3}]})) == [expected]


def test_a_delivery_becomes_a_command_per_line_that_waits_for_its_day():
    (command,) = decode(binary(INCOMING, {"supply_id": "po-1", "lines": [DUE]}))
    expected = Incoming(
        "TSHIRT-M", "DC1", "wms-east", 5, "sequence", (0, 42), "STOCK/0", 7, 0, "po-1", "2026-12-01", 0, "event=e-1"
    )
    assert command == expected
    assert days.has_days([command])


def test_a_day_begins_when_the_location_says():
    commands = decode(binary(INCOMING, {"supply_id": "po-1", "lines": [DUE, DUE | {"location": "TYO"}]}))
    here, there = days.dated(commands, {"DC1": "America/New_York", "TYO": "Asia/Tokyo"})
    assert isinstance(here, Incoming)
    assert isinstance(there, Incoming)
    midnight = int(datetime(2026, 12, 1, tzinfo=UTC).timestamp()) * 1000
    assert (here.starts_at - midnight, there.starts_at - midnight) == (5 * 3_600_000, -9 * 3_600_000)
    assert not days.has_days([here, there])


def test_a_delivery_of_nothing_needs_no_day():
    line = {**PLACE, "quantity": 0}
    (command,) = decode(binary(INCOMING, {"supply_id": "po-1", "lines": [line]}))
    assert (command.quantity, command.day, command.starts_at) == (0, "", 0)
    (command,) = decode(binary(INCOMING, {"supply_id": "po-1", "lines": [line | {"expected_on": "2026-12-01"}]}))
    assert command.day == ""
    assert not days.has_days([command])


def test_a_receipt_is_known_by_source_id_and_line():
    first, second = decode(binary(RECEIVED, {"supply_id": "po-1", "lines": [LINE, LINE | {"quantity": 2}]}))
    assert first == Received(
        "TSHIRT-M", "DC1", "wms-east", 5, "sequence", (0, 42), "STOCK/0", 7, 0,
        digest53("wms-east", "e-1", "0"), "po-1", "event=e-1",
    )  # fmt: skip
    assert (second.quantity, second.event) == (2, digest53("wms-east", "e-1", "1"))


def test_a_touch_may_say_where_and_when():
    assert decode(binary(TOUCH, {"sku": "TSHIRT-M", "location": "DC1"})) == [
        Touch("TSHIRT-M", "DC1", "wms-east", "sequence", (0, 42), "STOCK/0", 7, 0, "event=e-1")
    ]
    assert decode(binary(TOUCH, {"sku": "TSHIRT-M"}, ce_sequence=None)) == [
        Touch("TSHIRT-M", "", "wms-east", "", (0, 0), "STOCK/0", 7, 0, "event=e-1")
    ]


def supply(kind=INCOMING, supply_id: object = "po-1", **line: object):
    """A delivery or a receipt with one line; what is None is left out."""
    fields = (DUE if kind == INCOMING else LINE) | line
    return binary(
        kind, {"supply_id": supply_id, "lines": [{name: value for name, value in fields.items() if value is not None}]}
    )


def status(**line: object):
    return binary(STATUS, {"lines": [PLACE | {"unsellable": 1} | line]})


POISON = {
    "status: negative": (status(unsellable=-1), "invalid-data", "$.lines[0].unsellable"),
    "status: too many": (status(unsellable=10**9 + 1), "invalid-data", "<= 1000000000"),
    "status: fraction": (status(unsellable=0.5), "invalid-data", "Expected `int`"),
    "status: a quantity": (binary(STATUS, {"lines": [LINE]}), "invalid-data", "$.lines[0]"),
    "status: NUL": (status(sku="a\0b"), "invalid-identifier", "$.lines[0].sku"),
    "status: one position twice": (
        binary(STATUS, {"lines": [PLACE | {"unsellable": 1}, PLACE | {"unsellable": 2}]}),
        "duplicate-line",
        "lines[1]",
    ),
    "status: no version": (binary(STATUS, {"lines": []}, ce_sequence=None), "version-missing", "neither"),
    "incoming: no supply id": (binary(INCOMING, {"lines": [DUE]}), "invalid-data", "`supply_id`"),
    "incoming: empty supply id": (supply(supply_id=""), "invalid-data", "$.supply_id"),
    "incoming: long supply id": (supply(supply_id="x" * 129), "invalid-data", "length <= 128"),
    "incoming: NUL in the supply id": (supply(supply_id="a\0b"), "invalid-identifier", "$.supply_id has the control"),
    "incoming: no day": (supply(expected_on=None), "invalid-data", "$.lines[0].expected_on is missing"),
    "incoming: a time": (supply(expected_on="2026-12-01T00:00:00Z"), "invalid-data", "$.lines[0].expected_on"),
    "incoming: no such day": (supply(expected_on="2026-02-30"), "invalid-data", "$.lines[0].expected_on"),
    "incoming: another order": (supply(expected_on="01.12.2026"), "invalid-data", "$.lines[0].expected_on"),
    "incoming: a day long ago": (supply(expected_on="0001-01-01"), "invalid-data", "before 1970"),
    "incoming: negative": (supply(quantity=-1), "invalid-data", "$.lines[0].quantity"),
    "incoming: too many": (supply(quantity=10**9 + 1), "invalid-data", "$.lines[0].quantity"),
    "incoming: one position twice": (
        binary(INCOMING, {"supply_id": "po", "lines": [DUE, DUE | {"expected_on": "2026-12-02"}]}),
        "duplicate-line",
        "lines[1]",
    ),
    "incoming: not NFC": (supply(location="e\u0301"), "invalid-identifier", "$.lines[0].location is not in"),
    "incoming: unknown field": (supply(eta="2026-12-01"), "invalid-data", "eta"),
    "incoming: 1,001 lines": (binary(INCOMING, {"supply_id": "po", "lines": [DUE] * 1001}), "invalid-data", "$.lines"),
    "received: nothing": (supply(RECEIVED, quantity=0), "invalid-data", "$.lines[0].quantity"),
    "received: negative": (supply(RECEIVED, quantity=-3), "invalid-data", "$.lines[0].quantity"),
    "received: no supply id": (binary(RECEIVED, {"lines": [LINE]}), "invalid-data", "`supply_id`"),
    "received: a day": (supply(RECEIVED, expected_on="2026-12-01"), "invalid-data", "expected_on"),
    "received: key twice": (
        binary(RECEIVED, b'{"supply_id":"po","supply_id":"p","lines":[{"sku":"a","location":"b","quantity":1}]}'),
        "invalid-json",
        "'supply_id' stands twice",
    ),
    "touch: no sku": (binary(TOUCH, {"location": "DC1"}), "invalid-data", "`sku`"),
    "touch: lines": (binary(TOUCH, {"lines": [LINE]}), "invalid-data", "$"),
    "touch: NUL": (binary(TOUCH, {"sku": "a\0"}), "invalid-identifier", "$.sku has the control"),
    "touch: empty location": (binary(TOUCH, {"sku": "a", "location": ""}), "invalid-data", "$.location"),
    "touch: key twice": (binary(TOUCH, b'{"sku":"a","sku":"b"}'), "invalid-json", "'sku' stands twice"),
}


@pytest.mark.parametrize("name", POISON)
def test_poison_is_refused_with_reason_and_place(name):
    message, reason, detail = POISON[name]
    found, text = rejected(message)
    assert found == reason
    assert detail in text
