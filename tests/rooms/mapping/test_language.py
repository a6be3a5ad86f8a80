"""The mapping language piece by piece: what it reads, and how precisely it refuses."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from atp.mapping import Mapping, MappingError, Message, Refused, Stamp, load

Make = Callable[[str], Mapping]

LEVEL = """
[[events]]
kind = "level"
each = "rows[*]"
sku = "{sku}"
location = "{at}"
quantity = { path = "n" }

[version]
sequence = "$.v"
"""


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """A mapping from text."""

    def make(text: str) -> Mapping:
        path = tmp_path / "mine.toml"
        path.write_text(text)
        return load(str(path))

    return make


def rows(*rows: object, v: object = 7) -> bytes:
    return json.dumps({"v": v, "rows": rows}).encode()


def lines(mapping: Mapping, body: bytes, **options: object) -> list[tuple[str, str, int]]:
    mapped = mapping.apply(Message(body, **options), "s")  # pyright: ignore[reportArgumentType]
    return [(at["sku"], at["location"], at["quantity"]) for event in mapped.events for at in event.data["lines"]]


def refused(mapping: Mapping, body: bytes, **options: object) -> str:
    with pytest.raises(Refused) as refusal:
        mapping.apply(Message(body, **options), "s")  # pyright: ignore[reportArgumentType]
    return str(refusal.value)


@pytest.mark.parametrize(
    ("written", "units"),
    [(3, 3), (-3, -3), ("12.00000", 12), ("-3", -3), ("3-", -3), ("3.000-", -3), ("+4", 4), (" 5 ", 5), (6.0, 6),
     (1_000_000_000, 1_000_000_000), ("-1000000000", -1_000_000_000), (1e3, 1000)],
)  # fmt: skip
def test_numbers_as_vendors_write_them(make: Make, written: object, units: int) -> None:
    assert lines(make(LEVEL), rows({"sku": "A", "at": "X", "n": written})) == [("A", "X", units)]


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("12.5", "12.5 is not a whole number of units"),
        (12.5, "12.5 is not a whole number of units"),
        (1_000_000_001, "1000000001 is beyond 1000000000 units"),
        ("1,000", "separators between thousands are not read"),
        ("-3-", "is no number"),
        ("", "$.rows[0].n is empty"),
        (None, "$.rows[0].n is null"),
        (True, "true or false is no number"),
        ([], "an array is no number"),
        ("٣", "is no number"),
        ("1e3", "is no number"),
        ("9" * 60, "is no number"),
    ],
)
def test_numbers_that_are_refused(make: Make, written: object, told: str) -> None:
    text = refused(make(LEVEL), rows({"sku": "A", "at": "X", "n": written}))
    assert text.startswith("invalid-quantity: events[0].quantity")
    assert told in text


def test_huge_exponents_cost_nothing(make: Make) -> None:
    assert "too many digits" in refused(make(LEVEL), b'{"v":1,"rows":[{"sku":"A","at":"X","n":1e999999999}]}')


def test_units_make_fractions_whole(make: Make) -> None:
    grams = make(LEVEL.replace('path = "n"', 'path = "n", units = 1000, decimal_comma = true'))
    assert lines(grams, rows({"sku": "A", "at": "X", "n": "12,5"})) == [("A", "X", 12_500)]
    assert "point where a comma" in refused(grams, rows({"sku": "A", "at": "X", "n": "12.5"}))
    boxes = make(LEVEL.replace('path = "n"', 'path = "n", units = { of = "{u}", table = { EA = 1, BOX = 6 } }'))
    assert lines(boxes, rows({"sku": "A", "at": "X", "n": 2, "u": "BOX"})) == [("A", "X", 12)]
    assert "'PAL' is not in the table" in refused(boxes, rows({"sku": "A", "at": "X", "n": 2, "u": "PAL"}))


def test_rows_within_rows_see_what_is_around_them(make: Make) -> None:
    mapping = make(
        """
        [[events]]
        kind = "level"
        each = "shops[*].stock.*"
        sku = "{@key}"
        location = "{^.name}-{$.country}"
        quantity = { path = "@value" }
        version = { sequence = "$.v" }
        """
    )
    body = {"v": "12", "country": "de", "shops": [{"name": "a", "stock": {"A": 1, "B": 2}}, {"name": "b", "stock": {}}]}
    assert lines(mapping, json.dumps(body).encode()) == [("A", "a-de", 1), ("B", "a-de", 2)]


def test_templates_leave_out_what_is_missing(make: Make) -> None:
    mapping = make(LEVEL.replace('"{sku}"', '"{sku}[-{colour}][/{\\"size.eu\\"[0]}]{{x}}"'))
    row = {"sku": "A", "at": "X", "n": 1}
    assert lines(mapping, rows(row | {"colour": "red", "size.eu": ["M"]})) == [("A-red/M{x}", "X", 1)]
    assert lines(mapping, rows(row | {"colour": None, "size.eu": []})) == [("A{x}", "X", 1)]
    assert "events[0].sku: $.rows[0].sku is not there" in refused(mapping, rows({"at": "X", "n": 1}))
    assert "$.rows[0].sku is an object, where a text is needed" in refused(mapping, rows(row | {"sku": {}}))


@pytest.mark.parametrize(
    ("sku", "told"),
    [
        ("", "is empty"),
        ("x" * 65, "is longer than 64"),
        ("a\x00b", "control character"),
        ("a\ud800b", "half a character"),
        ("e\u0301", "NFC"),
    ],
)
def test_names_that_are_refused(make: Make, sku: str, told: str) -> None:
    text = refused(make(LEVEL), rows({"sku": "A", "at": "X", "n": 1}, {"sku": sku, "at": "X", "n": 1}))
    assert text.startswith("invalid-identifier: events[0].sku: $.rows[1]")
    assert told in text
    text.encode()


def version(make: Make, rule: str, value: object, **more: object) -> str:
    mapping = make(LEVEL.replace('sequence = "$.v"', rule).replace("rows[*]", "$"))
    body = json.dumps({"sku": "A", "at": "X", "n": 1, "t": value} | more).encode()
    try:
        (event,) = mapping.apply(Message(body), "s").events
    except Refused as refused:
        return str(refused)
    return event.time or str(event.sequence)


@pytest.mark.parametrize(
    ("rule", "value", "found"),
    [
        ('time = "t"', "2026-11-20T10:14:02+01:00", "2026-11-20T09:14:02Z"),
        ('time = "t"', "2026-11-20 10:14:02.1234567890Z"[:-2] + "Z", "2026-11-20T10:14:02.123456Z"),
        ('time = "t"', "2026-11-20T10:14:02", "has no offset"),
        ('time = "t"\nzone = "Europe/Berlin"', "2026-11-20T10:14:02", "2026-11-20T09:14:02Z"),
        ('time = "t"\nzone = "Europe/Berlin"', "2026-07-20T10:14:02", "2026-07-20T08:14:02Z"),
        ('time = "t"\nformat = "date"', "2026-11-20", "has no offset"),
        ('time = "t"\nformat = "date"\nzone = "UTC"', "20261120", "2026-11-20T00:00:00Z"),
        ('time = "t"\nformat = "odata"', "/Date(1795132800000)/", "2026-11-20T00:00:00Z"),
        ('time = "t"\nformat = "epoch-ms"', 1795132800123, "2026-11-20T00:00:00.123000Z"),
        ('time = "t"\nformat = "epoch-s"', "1795132800.5", "2026-11-20T00:00:00.500000Z"),
        ('time = "t"\nformat = ["%d.%m.%Y %H:%M", "date"]\nzone = "UTC"', "20.11.2026 09:14", "2026-11-20T09:14:00Z"),
        ('time = "t"\nformat = "date"\nplus = "c"\nzone = "Europe/Berlin"', "2026-11-20", "2026-11-20T09:14:02Z"),
        ('time = "t"', "2026-13-20T10:14:02Z", "is no time of the form rfc3339"),
        ('time = "t"', "1969-12-31T00:00:00Z", "is before 1970"),
        ('time = "t"', "9999-12-31T23:59:59-23:00", "is out of range"),
        ('time = "t"', None, "version-missing: version: $.t is not there"),
        ('time = "t"', {"a": 1}, "is no time"),
        ('time = ["x", "t"]', "2026-11-20T10:14:02Z", "2026-11-20T10:14:02Z"),
        ('sequence = "t"', "9223372036854775807", "9223372036854775807"),
        ('sequence = "t"', 12, "12"),
        ('sequence = "t"', "9223372036854775808", "is no sequence"),
        ('sequence = "t"', -1, "is no sequence"),
        ('sequence = "t"', "0x10", "is no sequence"),
        ('sequence = "t"', 1.5, "is no sequence"),
    ],
)  # fmt: skip
def test_versions(make: Make, rule: str, value: object, found: str) -> None:
    assert found in version(make, rule, value, c="10:14:02")


def test_a_version_from_outside(make: Make) -> None:
    mapping = make(LEVEL.replace('sequence = "$.v"', "given = true"))
    body = rows({"sku": "A", "at": "X", "n": 1})
    assert mapping.apply(Message(body, given=Stamp(5)), "s").events[0].sequence == 5
    assert "version-missing: version: this mapping takes the version from outside" in refused(mapping, body)


def test_lines_travel_in_events_of_a_thousand(make: Make) -> None:
    many = [{"sku": f"A{n}", "at": "X", "n": n} for n in range(2_500)]
    events = make(LEVEL).apply(Message(rows(*many)), "s").events
    assert [len(event.data["lines"]) for event in events] == [1] * 2_500  # ids differ
    events = make('id = "{$.v}"' + LEVEL).apply(Message(rows(*many)), "s").events
    assert [len(event.data["lines"]) for event in events] == [1_000, 1_000, 500]
    assert [event.id for event in events] == ["7", "7~2", "7~3"]


def test_numbered_ids_are_nobodys_elses(make: Make) -> None:
    mapping = make('id = "{id}"' + LEVEL.replace('"$.v"', '"v"'))
    named = [("e", 1), ("e", 2), ("e~2", 1), ("e", 3)]
    events = mapping.apply(Message(rows(*({"sku": "A", "at": "X", "n": 1, "id": id, "v": v} for id, v in named))), "s")
    assert [event.id for event in events.events] == ["e", "e~3", "e~2", "e~4"]


def test_two_lines_for_one_position(make: Make) -> None:
    twice = rows({"sku": "A", "at": "X", "n": 1}, {"sku": "A", "at": "X", "n": 2})
    assert refused(make('id = "{$.v}"' + LEVEL), twice).startswith("duplicate-line: $.rows[0] and $.rows[1]")
    added = make('id = "{$.v}"' + LEVEL.replace("[version]", "[version]").replace('"{at}"', '"{at}"\ncombine = "sum"'))
    assert lines(added, twice) == [("A", "X", 3)]
    most = [{"sku": "A", "at": "X", "n": 1_000_000_000}] * 2
    assert "beyond" in refused(added, rows(*most))


DELTA = LEVEL.replace('"level"', '"delta"')


def test_deltas_without_an_id_are_known_by_their_content(make: Make) -> None:
    mapping = make(DELTA)
    one, other = {"sku": "A", "at": "X", "n": 1}, {"sku": "A", "at": "X", "n": 2}
    first = mapping.apply(Message(rows(one, other, {"sku": "A", "at": "X", "n": 0})), "s")
    assert [(event.weak, len(event.id)) for event in first.events] == [(True, 32), (True, 32)]
    assert first.skipped == {"a delta of 0": 1}
    second = mapping.apply(Message(rows(other)), "s")
    assert second.events[0].id == first.events[1].id
    later = mapping.apply(Message(rows(other, v=8)), "s")
    assert later.events[0].id != first.events[1].id  # what stands around the row belongs to it
    both = mapping.apply(Message(rows(one, one)), "s").events
    assert [len(event.data["lines"]) for event in both] == [2]  # two sales of one second, not one


def test_a_number_that_came_back_is_no_repeat(make: Make) -> None:
    mapping = make(LEVEL.replace('sequence = "$.v"', "given = true"))
    body = rows({"sku": "A", "at": "X", "n": 1})
    ids = [mapping.apply(Message(body, given=Stamp(n)), "s").events[0].id for n in (1, 1, 2)]
    assert ids[0] == ids[1] != ids[2]


def test_reasons_are_cut_and_must_be_text(make: Make) -> None:
    mapping = make(DELTA.replace('"{at}"', '"{at}"\nreason = "{why}"'))
    row = {"sku": "A", "at": "X", "n": 1}
    (event,) = mapping.apply(Message(rows(row | {"why": "x" * 300})), "s").events
    assert event.data["lines"][0]["reason"] == "x" * 64
    assert "half a character" in refused(mapping, rows(row | {"why": "\ud800"}))


def test_a_touch_names_what_changed(make: Make) -> None:
    mapping = make(
        """
        [[events]]
        kind = "touch"
        each = "changed[*]"
        sku = "{@value}"
        id = "{$.id}/{@index}"
        """
    )
    events = mapping.apply(Message(b'{"id": "e1", "changed": ["A", "B"]}'), "s").events
    assert [(event.type, event.id, event.data) for event in events] == [
        ("atp.stock.touch.v1", "e1/0", {"sku": "A"}), ("atp.stock.touch.v1", "e1/1", {"sku": "B"})
    ]  # fmt: skip


def test_lookup_tables(make: Make, tmp_path: Path) -> None:
    (tmp_path / "skus.csv").write_text('id,ours\n1,A\n2,"B,2"\n\n')
    text = LEVEL.replace('"{sku}"', '{ from = "{sku}", lookup = "sku" }') + '[lookup.sku]\nfile = "skus.csv"\n'
    assert lines(make(text), rows({"sku": 1, "at": "X", "n": 1}, {"sku": "2", "at": "X", "n": 1})) == [
        ("A", "X", 1), ("B,2", "X", 1)
    ]  # fmt: skip
    assert "unknown-id: events[0].sku: $.rows[0]: '3' is not in the table lookup.sku" in refused(
        make(text), rows({"sku": "3", "at": "X", "n": 1})
    )
    assert lines(make(text + 'missing = "keep"'), rows({"sku": "3", "at": "X", "n": 1})) == [("3", "X", 1)]
    skipping = make(text + 'missing = "skip"').apply(Message(rows({"sku": "3", "at": "X", "n": 1})), "s")
    assert skipping.skipped == {"not in lookup.sku": 1}


def test_ndjson_and_csv_messages(make: Make) -> None:
    mapping = make('format = "ndjson"\n' + LEVEL.replace("rows[*]", "$").replace("$.v", "v"))
    body = b'{"sku":"A","at":"X","n":1,"v":1}\n\n{"sku":"B","at":"X","n":2,"v":"2"}\r\n'
    assert lines(mapping, body) == [("A", "X", 1), ("B", "X", 2)]
    assert refused(mapping, body + b"{").startswith("invalid-json: line 4: ")
    mapping = make('format = "csv"\ncsv = { delimiter = ";", encoding = "cp1252" }\n' + LEVEL.replace("rows[*]", "$"))
    assert lines(mapping, 'sku;at;n;v\nTÜR;X;"1";4\n'.encode("cp1252")) == [("TÜR", "X", 1)]
    assert "invalid-csv: line 2: 3 fields, but the header names 4" in refused(mapping, b"sku;at;n;v\nA;X;1\n")
    assert "two columns are named 'n'" in refused(mapping, b"sku;at;n;n\n")


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "invalid-json: empty"),
        (b"{", "invalid-json: Expecting property name"),
        (b'{"a": "\xff"}', "invalid-json: not UTF-8: byte 7 is 0xff"),
        (b"[" * 100_000, "invalid-json: nested too deeply"),
        (b'{"v": 1, "v": 2}', "invalid-json: the key 'v' stands twice"),
        (b'{"v": NaN}', "invalid-json: NaN is not JSON"),
        (b'{"v": 1}', "invalid-data: $.rows is not there"),
        (b'{"v": 1, "rows": {}}', "invalid-data: $.rows is not an array"),
        (b'{"v": 1, "rows": [1]}', "$.rows[0].n is not there"),
        (b"[]", "invalid-data: $.rows is not there"),
        (b" " * (8 << 20) + b"1", "too-large"),
    ],
)
def test_bodies_that_are_refused(make: Make, body: bytes, told: str) -> None:
    assert told in refused(make(LEVEL), body)


def test_conditions(make: Make) -> None:
    mapping = make(LEVEL + """
[[accept]]
of = "{kind}"
in = ["stock"]
absent = "passes"
""")  # fmt: skip
    assert "not-accepted: accept[0]: $: {kind} is 'order'" in refused(mapping, b'{"kind": "order"}')
    when = 'when = [{ of = "{state}", not_in = ["DEAD"], absent = "passes", otherwise = "refuse" }]\nsku = '
    mapping = make(LEVEL.replace("sku = ", when, 1))
    assert lines(mapping, rows({"sku": "A", "at": "X", "n": 1})) == [("A", "X", 1)]
    assert "not-accepted: events[0].when[0]: $.rows[0]" in refused(mapping, rows({"state": "DEAD"}))


SIGNED = '[signature]\nheader = "X"\nsecret = "ATP_WEBHOOK_SECRET_X"\n'

WRONG = [
    ("[[events]", "not TOML"),
    ("about = 1", "about: Expected `str`, got `int`"),
    ("colour = 1\n" + LEVEL, "colour: there is no such key"),
    (LEVEL.replace("n\" }", 'n", sing = 1 }'), "events[0].quantity.sing: there is no such key"),
    (LEVEL.replace('"{sku}"', '"{sku"'), "events[0].sku: '{sku': the { at column 1 is not closed"),
    (LEVEL.replace('"{sku}"', '"{a..b}"'), "events[0].sku: 'a..b' is no path: see column 2"),
    (LEVEL.replace('"{sku}"', '"{a[*]}"'), "events[0].sku: 'a[*]' has 1 wildcards"),
    (LEVEL.replace('"{sku}"', '"{@line}"'), "events[0].sku: @line is none of"),
    (LEVEL.replace('"{sku}"', '"a]"'), "events[0].sku: 'a]': the ] at column 2 closes nothing"),
    (LEVEL.replace('"{sku}"', '{ from = "{sku}", lookup = "x" }'), "events[0].sku: there is no table lookup.x"),
    (LEVEL.replace('sku = "{sku}"\n', ""), "events[0].sku: is missing"),
    (LEVEL.replace('location = "{at}"\n', ""), "events[0].location: a level needs it"),
    (LEVEL.partition("[version]")[0], "events[0].version: nothing says which event is the newer one"),
    (LEVEL + 'time = "t"', "version: needs exactly one of sequence, time and given"),
    (LEVEL.replace('sequence = "$.v"', 'time = "t"\nzone = "Mars/Base"'), "version.zone: 'Mars/Base' is no zone"),
    (LEVEL.replace('sequence = "$.v"', 'time = "t"\nformat = "iso"'), "version.format: 'iso' is none of"),
    (LEVEL.replace('{ path = "n" }', "{}"), "events[0].quantity: needs exactly one of path, value and measures"),
    (LEVEL.replace('"level"', '"touch"'), "events[0].quantity: a touch has none"),
    (LEVEL.replace('"{at}"', '"{at}"\nmeasure = "on-hand"'), "events[0].measure: 'on-hand' is none of"),
    (LEVEL + '[lookup.sku]\nfile = "none.csv"', "lookup.sku.file: "),
    (LEVEL + '[lookup.sku.ids]\n"1" = ""', "lookup.sku.ids: the name for '1' is empty"),
    (LEVEL + '[signature]\nheader = "X"\nsecret = "s3cr3t"', "signature.secret: "),
    (LEVEL + SIGNED + 'signed = "{url}"', "signature.signed: must hold {body}"),
    (LEVEL + SIGNED + 'signed = "{timestamp}{body}"', "signature.signed: {timestamp} and where it is sent"),
    ('extends = "nothing"', "nothing: no such mapping"),
    ('extends = "./mine.toml"', "extends: ./mine.toml leads in a circle"),
    ("events = []", "events: Expected `array` of length >= 1"),
    ("snapshot = true\n" + LEVEL, "snapshot: "),
]  # fmt: skip


@pytest.mark.parametrize(("text", "told"), WRONG, ids=[told.partition(":")[0] for _, told in WRONG])
def test_a_wrong_mapping_is_told_by_file_key_and_reason(make: Make, text: str, told: str) -> None:
    with pytest.raises(MappingError) as error:
        make(text)
    assert told in str(error.value)
    assert "mine.toml" in str(error.value) or "nothing" in told


def test_the_file_to_mend_is_named(make: Make, tmp_path: Path) -> None:
    (tmp_path / "base.toml").write_text(LEVEL.replace('"{sku}"', '"{sku"'))
    with pytest.raises(MappingError) as error:
        make('extends = "base.toml"\nabout = "mine"')
    assert error.value.file.endswith("base.toml")
    with pytest.raises(MappingError) as error:
        make('extends = "shopify"\n[lookup.location]\nfile = "gone.csv"')
    assert error.value.file.endswith("mine.toml")
