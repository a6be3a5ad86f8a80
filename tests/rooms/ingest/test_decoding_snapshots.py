"""Parts of snapshots: what they become, and every way in which one can be wrong."""

import json

import pytest

from atp.domain.commands import Level
from atp.domain.snapshots import SnapshotPart
from tests.rooms.ingest.sent import LINE, NOON, binary, decode, rejected

TYPE = "atp.stock.snapshot.v1"
DATA = {
    "snapshot_id": "S", "as_of": {"sequence": "99"}, "part": 2, "parts": 3, "full": True,
    "locations": ["DC2", "DC1"], "lines": [LINE],
}  # fmt: skip
GONE = object()


def sent(**changed):
    """A part with other fields; GONE leaves one out."""
    return binary(TYPE, {name: value for name, value in (DATA | changed).items() if value is not GONE})


def test_a_part_comes_before_its_lines_and_all_are_of_the_snapshots_version():
    part, level = decode(sent())
    assert isinstance(part, SnapshotPart)
    assert (part.snapshot, part.part, part.parts, part.full, part.taken) == ("S", 2, 3, True, False)
    assert part.locations == ["DC1", "DC2"]
    assert (part.version_kind, part.version, part.stream, part.position) == ("sequence", (0, 99), "STOCK/0", 7)
    assert level == Level("TSHIRT-M", "DC1", "wms-east", 5, "sequence", (0, 99), "STOCK/0", 7, 0, "", "event=e-1")


def test_an_as_of_may_be_a_number_a_time_or_a_sequence_and_when_that_was():
    assert decode(sent(as_of={"sequence": 99}))[0].version == (0, 99)
    (part, level) = decode(sent(as_of={"time": NOON}))
    assert part.version_kind == level.version_kind == "time"
    assert part.as_of == level.as_of > 0
    (both, _) = decode(sent(as_of={"sequence": "99", "time": NOON}))
    assert (both.version_kind, both.version, both.as_of) == ("sequence", (0, 99), part.as_of)


def test_when_it_was_sent_says_nothing_about_when_it_was_true():
    assert decode(binary(TYPE, DATA, ce_time=NOON))[1].as_of == 0


def test_the_digest_is_of_the_lines_and_of_nothing_else():
    digest = decode(sent())[0].digest
    assert decode(binary(TYPE, DATA, sequence=9, ce_id="other"))[0].digest == digest
    assert decode(sent(part=3))[0].digest == digest
    assert decode(binary(TYPE, json.dumps(DATA, indent=1).encode()))[0].digest == digest
    assert decode(sent(lines=[LINE | {"quantity": 6}]))[0].digest != digest
    assert decode(sent(lines=[]))[0].digest not in (digest, 0)


def test_a_part_may_have_no_lines_and_a_partial_one_no_locations():
    assert len(decode(sent(lines=[]))) == 1
    part, _ = decode(sent(full=False, locations=GONE))
    assert (part.full, part.locations) == (False, [])


def test_what_its_lines_measure_is_said_of_the_part():
    lines = [LINE | {"measure": "available"}, LINE | {"sku": "B"}]
    part, *levels = decode(sent(lines=lines))
    assert [part.measure, *(level.measure for level in levels)] == ["available"] * 3


@pytest.mark.parametrize(
    ("changed", "reason", "detail"),
    [
        ({"part": 4}, "invalid-data", "$.part: 4 of 3 parts"),
        ({"part": 0}, "invalid-data", "$.part: Expected `int` >= 1"),
        ({"parts": 100_001}, "invalid-data", "$.parts: Expected `int` <= 100000"),
        ({"part": GONE}, "invalid-data", "$: Object missing required field `part`"),
        ({"full": "yes"}, "invalid-data", "$.full: Expected `bool`, got `str`"),
        ({"snapshot_id": ""}, "invalid-data", "$.snapshot_id: Expected `str` of length >= 1"),
        ({"snapshot_id": "a\nb"}, "invalid-identifier", "$.snapshot_id has the control character U+000A"),
        ({"locations": GONE}, "invalid-data", "$.locations: a full snapshot names the locations whose other skus"),
        ({"locations": []}, "invalid-data", "$.locations: a full snapshot names the locations"),
        ({"locations": ["DC1", "DC1"]}, "invalid-data", "$.locations: 'DC1' stands there twice"),
        ({"locations": ["DC1", "a\x01"]}, "invalid-identifier", "$.locations[1] "),
        ({"as_of": {}}, "version-missing", "$.as_of: neither a sequence nor a time"),
        ({"as_of": {"sequence": "1e3"}}, "invalid-version", "$.as_of: sequence '1e3' is not an unsigned decimal"),
        ({"as_of": {"sequence": -1}}, "invalid-version", "$.as_of: sequence '-1' is not an unsigned decimal"),
        ({"as_of": {"time": "2026-11-21T10:00:00"}}, "invalid-version", "$.as_of: time '2026-11-21T10:00:00' is not"),
        ({"as_of": {"time": "2030-01-01T00:00:00Z"}}, "version-in-future", "$.as_of: time 2030-01-01T00:00:00Z is "),
        ({"lines": [LINE, LINE]}, "duplicate-line", "$.lines[1] is for the same sku and location as lines[0]"),
        ({"lines": [LINE | {"quantity": 10**9 + 1}]}, "invalid-data", "$.lines[0].quantity: Expected `int` <= 10000"),
        ({"lines": [LINE | {"quantity": 1.5}]}, "invalid-data", "$.lines[0].quantity: Expected `int`, got `float`"),
        (
            {"lines": [LINE | {"measure": "available"}, LINE | {"sku": "B", "measure": "on_hand"}]},
            "invalid-data", "$.lines[1].measure is on_hand, that of others available",
        ),
        ({"lines": [LINE | {"includes": {"orders": [""]}}]}, "invalid-data", "$.lines[0].includes.orders[0]: Expected"),
        ({"lines": [LINE | {"includes": {"orders": ["\x01"]}}]}, "invalid-identifier", "$.lines[0].includes.orders[0]"),
        ({"more": 1}, "invalid-data", "$: Object contains unknown field `more`"),
    ],
)  # fmt: skip
def test_a_wrong_part_is_refused_with_what_is_wrong(changed, reason, detail):
    found, text = rejected(sent(**changed))
    assert found == reason
    assert text.startswith(detail)


def test_a_key_that_stands_twice_is_noticed():
    text = json.dumps(DATA | {"as_of": {"time": NOON}})
    for twice in ('"part": 2', '"sku": "TSHIRT-M"', f'"time": "{NOON}"'):
        reason, detail = rejected(binary(TYPE, text.replace(twice, f"{twice}, {twice}").encode()))
        assert (reason, "stands twice" in detail) == ("invalid-json", True), twice
