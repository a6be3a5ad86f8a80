"""Files of any bytes as records: never an exception, and from any of them one may go on."""

import io

from hypothesis import given, settings
from hypothesis import strategies as st

from atp.ingest.backfill.records import Place, Record, read
from atp.mapping import Refused
from atp.mapping.spec import Csv

SPEC = Csv(header=["sku", "location", "quantity"])
LINES = [
    b"A,DC1,5\n",
    b'"a ""b""",DC1,5\n',
    b'"x\ny",DC1,1\r\n',
    b'"open,DC1,2\n',
    b"\n",
    b"  \n",
    b"A,B\n",
    b'5" nail,DC1,3\n',
    b"\xff,DC1,1\n",
    b"a\rb,DC1,1\n",
    b'"',
    b"\x00",
    b'"done" x,DC1,1\n',
]
PIECES = st.lists(st.sampled_from(LINES) | st.binary(max_size=8), max_size=14)


def records(text: bytes, place: Place) -> list[Record]:
    return list(read(io.BytesIO(text), "csv", SPEC, place))


def same(one: Record, other: Record) -> bool:
    told = [value.detail if isinstance(value, Refused) else value for value in (one.value, other.value)]
    places = [(record.line, record.last, record.raw, record.end) for record in (one, other)]
    return places[0] == places[1] and told[0] == told[1]


@given(pieces=PIECES)
@settings(max_examples=300, deadline=None)
def test_from_every_record_reading_goes_on_alike(pieces: list[bytes]) -> None:
    text = b"".join(pieces)
    whole = records(text, Place())
    for number, record in enumerate(whole, 1):
        if record.end < len(text):
            rest = records(text, Place(record.end, record.last))
            assert len(rest) == len(whole) - number
            assert all(map(same, rest, whole[number:]))
    kept = b"".join(record.raw for record in whole)
    assert kept.split() == text.removeprefix(b"\xef\xbb\xbf").split()  # nothing but empty lines is left out


def test_a_quote_left_open_costs_its_own_line() -> None:
    rows = [b"A%d,DC1,1\n" % n for n in range(500)]
    rows[100] = b'"A100,DC1,1\n'
    found = records(b"".join(rows), Place())
    assert [one.line for one in found if isinstance(one.value, Refused)] == [101]
    assert len(found) == 500


def test_a_row_may_span_lines_and_the_count_goes_on() -> None:
    found = records(b'"a\nb\nc",DC1,1\nD,DC1,x\n', Place())
    assert [(one.line, one.last) for one in found] == [(1, 3), (4, 4)]
    assert found[0].value == {"sku": "a\nb\nc", "location": "DC1", "quantity": "1"}
