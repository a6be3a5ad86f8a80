"""A file as records, one at a time: a line of NDJSON, a row of CSV, or one whole JSON document."""

import csv
from collections.abc import Iterator, Sequence
from typing import BinaryIO, Literal

from msgspec import Struct

from atp.mapping import Refusal, Refused
from atp.mapping.documents import check_header, csv_text, document, row_object
from atp.mapping.spec import Csv

Format = Literal["json", "ndjson", "csv"]

#: Bytes of one record; what is longer is refused, and the next one read.
RECORD_MAX = 1 << 20

#: Bytes of a JSON document, which is read whole.
DOCUMENT_MAX = 64 << 20

#: Lines that one CSV row may span, so that a quote left open costs its own line and not the rest of the file.
_ROW_LINES_MAX = 100

_UNFINISHED = "unexpected end of data"  # what csv says when a row ends inside quotes
_BOM = b"\xef\xbb\xbf"


class Record(Struct):
    """One record; ``value`` is a JSON value, or why there is none."""

    line: int  # number of its first line
    last: int  # and of its last one
    raw: bytes
    value: object | Refused
    end: int  # bytes of the file up to here


class Place(Struct):
    """Where reading goes on: so many bytes and lines are behind."""

    offset: int = 0
    line: int = 0


def read(file: BinaryIO, format: Format, spec: Csv, place: Place) -> Iterator[Record]:
    """The records behind ``place``. Raises Refused when the file as a whole cannot be read."""
    match format:
        case "json":
            yield from _whole(file, place)
        case "ndjson":
            yield from _lines(file, place)
        case "csv":
            yield from _rows(file, spec, place)


def _whole(file: BinaryIO, place: Place) -> Iterator[Record]:
    if place.offset:
        return
    raw = file.read(DOCUMENT_MAX + 1)
    if len(raw) > DOCUMENT_MAX:
        reason = f"a JSON document of more than {DOCUMENT_MAX >> 20} MiB; write it as NDJSON, one object a line"
        raise Refused(Refusal.TOO_LARGE, reason)
    yield Record(1, 1, raw, _decoded(raw), len(raw))


def _lines(file: BinaryIO, place: Place) -> Iterator[Record]:
    for line, raw, end in _physical(file, place):
        if raw.strip():
            yield Record(line, line, raw, _too_long(raw) or _decoded(raw), end)


def _rows(file: BinaryIO, spec: Csv, place: Place) -> Iterator[Record]:
    header: Sequence[str] = spec.header
    if not header:
        header, behind = _header(file, spec)
        place = place if place.offset else behind
    ahead = _Ahead(_physical(file, place))
    for line, raw, end in ahead:
        if not raw.strip():
            continue
        last = line
        if too_long := _too_long(raw):
            yield Record(line, last, raw, too_long, end)
            continue
        row = _row(raw, spec)
        if isinstance(row, _Unfinished):
            more, row = _continued(raw, ahead, spec)
            if more:
                raw = b"".join((raw, *(piece for _, piece, _ in more)))
                last, end = more[-1][0], more[-1][2]
        if isinstance(row, Refused):
            yield Record(line, last, raw, row, end)
            continue
        try:
            yield Record(line, last, raw, row_object(header, row, "this line"), end)
        except Refused as refused:
            yield Record(line, last, raw, refused, end)


def _header(file: BinaryIO, spec: Csv) -> tuple[list[str], Place]:
    for line, raw, end in _physical(file, Place()):
        if not raw.strip():
            continue
        row = Refused(Refusal.TOO_LARGE, "the header is too long") if _too_long(raw) else _row(raw, spec)
        if isinstance(row, _Unfinished):
            row = Refused(Refusal.INVALID_CSV, "a quote is not closed")
        if isinstance(row, Refused):
            raise Refused(row.reason, f"line {line}, the header: {row.detail}")
        return check_header(row), Place(end, line)
    raise Refused(Refusal.INVALID_CSV, "the file is empty")


class _Ahead:
    """Lines, some of which may be given back."""

    def __init__(self, lines: Iterator[tuple[int, bytes, int]]) -> None:
        self._lines = lines
        self._back: list[tuple[int, bytes, int]] = []

    def __iter__(self) -> Iterator[tuple[int, bytes, int]]:
        return self

    def __next__(self) -> tuple[int, bytes, int]:
        return self._back.pop() if self._back else next(self._lines)

    def give_back(self, lines: list[tuple[int, bytes, int]]) -> None:
        """They come again, in the same order."""
        self._back += reversed(lines)


class _Unfinished:
    """A row that goes on in the next line."""


def _continued(raw: bytes, ahead: _Ahead, spec: Csv) -> tuple[list[tuple[int, bytes, int]], list[str] | Refused]:
    """The lines with which a row ends, and the row; none of them when it does not end soon."""
    taken: list[tuple[int, bytes, int]] = []
    whole = raw
    for piece in ahead:
        taken.append(piece)
        whole += piece[1]
        if len(taken) >= _ROW_LINES_MAX or len(whole) > RECORD_MAX:
            break
        if b'"' in piece[1]:
            row = _row(whole, spec)
            if isinstance(row, list):
                return taken, row
            if isinstance(row, Refused):
                break
    ahead.give_back(taken)
    return [], Refused(Refusal.INVALID_CSV, "a quote is not closed")


def _row(raw: bytes, spec: Csv) -> list[str] | Refused | _Unfinished:
    try:
        (row,) = csv.reader([csv_text(raw, spec)], delimiter=spec.delimiter, strict=True)
    except Refused as refused:
        return refused
    except csv.Error as error:
        return _Unfinished() if _UNFINISHED in str(error) else Refused(Refusal.INVALID_CSV, str(error))
    except ValueError:  # no row or several, from a carriage return in the middle
        return Refused(Refusal.INVALID_CSV, "a carriage return inside the line")
    return row


def _physical(file: BinaryIO, place: Place) -> Iterator[tuple[int, bytes, int]]:
    """(number, bytes, offset behind it) of each line; of one that is too long its beginning."""
    file.seek(place.offset)
    offset, line = place.offset, place.line
    while raw := file.readline(RECORD_MAX + 1):
        offset += len(raw)
        line += 1
        if len(raw) > RECORD_MAX and not raw.endswith(b"\n"):
            while (rest := file.readline(RECORD_MAX)) and (offset := offset + len(rest)):
                if rest.endswith(b"\n"):
                    break
        yield line, raw.removeprefix(_BOM) if line == 1 else raw, offset


def _too_long(raw: bytes) -> Refused | None:
    if len(raw) <= RECORD_MAX:
        return None
    return Refused(Refusal.TOO_LARGE, f"a line of more than {RECORD_MAX} bytes")


def _decoded(raw: bytes) -> object | Refused:
    try:
        return document(raw)
    except Refused as refused:
        return refused
