"""Messages → commands, and every way in which a message can be wrong."""

import base64
import json
from datetime import UTC, datetime

import pytest

from atp.domain.commands import Delta, Heartbeat, Level
from atp.domain.ids import digest53
from atp.ingest.messages import Message
from tests.rooms.ingest.sent import LINE, NOW_US, TRACE, binary, decode, rejected, structured


@pytest.mark.parametrize("message", [binary(), structured()], ids=["binary", "structured"])
def test_a_level_becomes_a_command_per_line(message):
    expected = Level("TSHIRT-M", "DC1", "wms-east", 5, "sequence", (0, 42), "STOCK/0", 7, 0, "", "event=e-1")
    assert decode(message) == [expected]


def test_a_delta_is_known_by_source_id_and_line():
    lines = [LINE | {"quantity": -2, "reason": "sale"}, LINE | {"quantity": 3}]
    first, second = decode(binary("atp.stock.delta.v1", {"lines": lines}))
    assert isinstance(first, Delta)
    assert isinstance(second, Delta)
    assert (first.quantity, second.quantity) == (-2, 3)
    assert first.event == digest53("wms-east", "e-1", "0")
    assert second.event == digest53("wms-east", "e-1", "1")


def test_a_heartbeat_is_a_sign_of_life():
    (beat,) = decode(binary("atp.source.heartbeat.v1", {"sequence": 3}))
    assert (type(beat), beat.source, beat.position, beat.beats) == (Heartbeat, "wms-east", 7, True)
    assert len(decode(binary("atp.source.heartbeat.v1", b""))) == 1


def test_header_names_are_read_whatever_their_case():
    message = binary()
    assert message.headers
    message.headers = {name.title(): value for name, value in message.headers.items()}
    assert decode(message)[0].version == (0, 42)


def test_header_values_are_percent_decoded():
    assert decode(binary(ce_id="caf%C3%A9%20%25"))[0].cause == "event=café %"


def test_the_shard_is_not_part_of_the_source():
    assert decode(binary(subject="stock.v1.erp.17"))[0].source == "erp"


def test_the_cause_is_the_trace_and_the_id():
    assert decode(binary(traceparent=TRACE))[0].cause == f"trace={TRACE} event=e-1"
    assert decode(binary(traceparent="nonsense"))[0].cause == "event=e-1"
    assert decode(structured(traceparent=TRACE))[0].cause == f"trace={TRACE} event=e-1"


def test_measure_is_handed_on():
    (command,) = decode(binary(data={"lines": [LINE | {"measure": "available"}]}))
    assert isinstance(command, Level)
    assert command.measure == "available"


def test_the_largest_sequence_crosses_in_two_halves():
    assert decode(binary(ce_sequence=str(2**63 - 1)))[0].version == (2**31 - 1, 2**32 - 1)


def test_time_orders_when_there_is_no_sequence():
    command = decode(binary(ce_sequence=None, ce_time="2026-11-21T09:00:00.123456+01:00"))[0]
    micros = int(datetime(2026, 11, 21, 8, tzinfo=UTC).timestamp()) * 1_000_000 + 123_456
    assert command.version_kind == "time"
    assert command.version == (micros >> 32, micros & 0xFFFFFFFF)
    assert command.as_of == micros // 1000


def test_a_source_clock_that_runs_ahead_does_not_look_fresh_for_ever():
    command = decode(binary(ce_time="2030-01-01T00:00:00Z"))[0]
    assert (command.version_kind, command.as_of) == ("sequence", NOW_US // 1000)


def test_a_late_clock_of_ours_does_not_condemn_good_events():
    message = binary(ce_sequence=None, ce_time="2026-11-21T10:30:00Z")
    message.stored_us = NOW_US + 30 * 60_000_000
    assert decode(message)[0].version_kind == "time"


def test_data_may_be_base64_in_structured_mode():
    encoded = base64.b64encode(json.dumps({"lines": [LINE]}).encode()).decode()
    assert decode(structured(data=None, data_base64=encoded))[0].quantity == 5


def test_limits_are_inclusive():
    assert decode(binary(data={"lines": [LINE | {"quantity": -(10**9)}]}))[0].quantity == -(10**9)
    assert decode(binary(data={"lines": [LINE | {"sku": "x" * 64, "location": "ü" * 64}]}))
    many = [LINE | {"sku": f"s{n}"} for n in range(1000)]
    assert len(decode(binary(data={"lines": many}))) == 1000


def test_colons_in_values_are_not_keys():
    assert decode(binary(data={"lines": [LINE | {"sku": "a:b:c"}]}))[0].sku == "a:b:c"


def raw_line(**parts: str) -> bytes:
    fields = {"sku": '"a"', "location": '"DC1"', "quantity": "1"} | parts
    return ('{"lines":[{' + ",".join(f'"{name}":{value}' for name, value in fields.items()) + "}]}").encode()


POISON = {
    "four tokens deep": (binary(subject="stock.v1.erp.1.2"), "invalid-subject", "stock.v1.<source>"),
    "long source": (binary(subject="stock.v1." + "x" * 65), "invalid-subject", "longer than 64"),
    "no headers": (Message("stock.v1.erp", None, b"{}", 1), "not-a-cloudevent", "no ce-* headers"),
    "other version": (binary(ce_specversion="0.3"), "invalid-envelope", "ce-specversion is '0.3'"),
    "no id": (binary(ce_id=None), "invalid-envelope", "ce-id is empty"),
    "NUL in the id": (binary(ce_id="a%00b"), "invalid-envelope", "U+0000"),
    "id is not UTF-8": (binary(ce_id="%FF"), "invalid-envelope", "ce-id is not percent-encoded UTF-8"),
    "no type": (binary(ce_type=None), "invalid-envelope", "ce-type is empty"),
    "avro data": (binary(ce_datacontenttype="application/avro"), "unsupported-content-type", "avro"),
    "avro event": (structured("application/cloudevents+avro"), "unsupported-content-type", "avro"),
    "batched events": (structured("application/cloudevents-batch+json"), "unsupported-content-type", "batch"),
    "strange type": (binary("com.example.hello"), "unsupported-type", "not a type of the contract"),
    "includes through a negative position": (
        binary(data={"lines": [LINE | {"includes": {"through": -7}}]}),
        "invalid-data",
        "$.lines[0].includes.through",
    ),
    "includes through twice": (
        binary(data=b'{"lines":[{"sku":"A","location":"B","quantity":1,"includes":{"through":1,"through":2}}]}'),
        "invalid-json",
        "'through' stands twice",
    ),
    "includes text": (binary(data={"lines": [LINE | {"includes": "A-1"}]}), "invalid-data", "$.lines[0].includes"),
    "includes NUL": (
        binary(data={"lines": [LINE | {"includes": {"orders": ["a", "b\0"]}}]}),
        "invalid-identifier",
        "$.lines[0].includes.orders[1]",
    ),
    "no version": (binary(ce_sequence=None), "version-missing", "neither"),
    "negative sequence": (binary(ce_sequence="-1"), "invalid-version", "'-1'"),
    "hex sequence": (binary(ce_sequence="0x10"), "invalid-version", "0x10"),
    "other digits": (binary(ce_sequence="٣"), "invalid-version", "unsigned decimal"),
    "sequence of 2^63": (binary(ce_sequence=str(2**63)), "invalid-version", "2^63"),
    "fractional sequence": (structured(sequence=1.5), "invalid-envelope", "$.sequence"),
    "local time": (binary(ce_sequence=None, ce_time="2026-11-21T10:00:00"), "invalid-version", "RFC 3339"),
    "ancient time": (binary(ce_sequence=None, ce_time="0001-01-01T00:00:00+14:00"), "invalid-version", "before 1970"),
    "future time": (binary(ce_sequence=None, ce_time="2026-11-21T10:05:01Z"), "version-in-future", "301 s ahead"),
    "huge payload": (binary(data=b" " * (2 << 20)), "too-large", "2097152 bytes"),
    "empty payload": (binary(data=b""), "invalid-json", "$: empty"),
    "not JSON": (binary(data=b"<xml/>"), "invalid-json", "byte 0"),
    "cut off": (binary(data=b'{"lines":[{"sku":"a"'), "invalid-json", "truncated"),
    "trailing text": (binary(data=raw_line() + b"x"), "invalid-json", "byte"),
    "not UTF-8": (binary(data=b'{"lines":[{"sku":"\xff"'), "invalid-json", "byte 18 is 0xff"),
    "lone surrogate": (binary(data=raw_line(sku='"\\ud800xx"')), "invalid-json", "surrogate"),
    "deep data": (binary(data=b"[" * 100_000), "invalid-data", "$: Expected `object`"),
    "deep attribute": (
        Message("stock.v1.a", {"Content-Type": "application/cloudevents+json"}, b'{"x":' + b"[" * 100_000, 1),
        "invalid-json",
        "nested too deeply",
    ),
    "key twice": (binary(data=raw_line()[:-3] + b',"quantity":2}]}'), "invalid-json", "'quantity' stands twice"),
    "key twice, escaped": (binary(data=raw_line()[:-3] + b',"sk\\u0075":"b"}]}'), "invalid-json", "'sku' stands twice"),
    "attribute twice": (
        Message("stock.v1.a", structured().headers, structured().data[:-1] + b',"id":"other"}', 1),
        "invalid-json",
        "'id' stands twice",
    ),
    "unknown field": (binary(data={"lines": [LINE | {"qty": 1}]}), "invalid-data", "$.lines[0]"),
    "missing field": (binary(data={"lines": [{"sku": "a", "quantity": 1}]}), "invalid-data", "`location`"),
    "no lines": (binary(data={"lines": []}), "invalid-data", "$.lines"),
    "1,001 lines": (binary(data={"lines": [LINE] * 1001}), "invalid-data", "$.lines"),
    "2^64": (binary(data=raw_line(quantity=str(2**64))), "invalid-data", "$.lines[0].quantity"),
    "a hundred digits": (binary(data=raw_line(quantity="9" * 100)), "invalid-data", "$.lines[0].quantity"),
    "above 10^9": (binary(data=raw_line(quantity="1000000001")), "invalid-data", "<= 1000000000"),
    "fraction": (binary(data=raw_line(quantity="1.5")), "invalid-data", "$.lines[0].quantity: Expected `int`"),
    "text quantity": (binary(data=raw_line(quantity='"5"')), "invalid-data", "got `str`"),
    "delta of nothing": (binary("atp.stock.delta.v1", raw_line(quantity="0")), "invalid-data", "a delta of 0"),
    "unknown measure": (binary(data={"lines": [LINE | {"measure": "x"}]}), "invalid-data", "measure"),
    "NUL in the sku": (
        binary(data=raw_line(sku='"a\\u0000b"')),
        "invalid-identifier",
        "$.lines[0].sku has the control",
    ),
    "blank name": (binary(data=raw_line(sku='" "')), "invalid-identifier", "$.lines[0].sku begins or ends with white"),
    "space behind a name": (
        binary(data=raw_line(location='"DC1 "')),
        "invalid-identifier",
        "$.lines[0].location begins or ends with white",
    ),
    "not NFC": (binary(data=raw_line(location='"e\u0301"')), "invalid-identifier", "$.lines[0].location is not in"),
    "empty sku": (binary(data=raw_line(sku='""')), "invalid-data", "$.lines[0].sku"),
    "long sku": (binary(data=raw_line(sku=f'"{"x" * 65}"')), "invalid-data", "length <= 64"),
    "one position twice": (binary(data={"lines": [LINE, LINE | {"quantity": 6}]}), "duplicate-line", "lines[1]"),
    "structured, wrong line": (
        structured(data={"lines": [LINE, LINE | {"sku": 5}]}),
        "invalid-data",
        "$.data.lines[1].sku: Expected `str`",
    ),
    "structured, no data": (structured(data=None), "invalid-json", "$.data: empty"),
    "structured, wrong base64": (structured(data=None, data_base64="%%%"), "invalid-envelope", "$.data_base64"),
    "heartbeat with stock": (binary("atp.source.heartbeat.v1", {"lines": []}), "invalid-data", "lines"),
}


@pytest.mark.parametrize("name", POISON)
def test_poison_is_refused_with_reason_and_place(name):
    message, reason, detail = POISON[name]
    found, text = rejected(message)
    assert found == reason
    assert detail in text
