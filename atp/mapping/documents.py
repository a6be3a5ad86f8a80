"""The bytes of a message as JSON values: one document, one a line, or one a row of CSV."""

import csv
import json
from collections.abc import Iterator, Sequence
from decimal import Decimal, InvalidOperation
from typing import NoReturn

from atp.mapping.reasons import Refusal, Refused, shown
from atp.mapping.spec import Csv

#: Digits of a number that becomes exact; longer ones cost more than they can mean.
_DIGITS_MAX = 64

#: Columns of a CSV row.
COLUMNS_MAX = 1_000


def document(text: bytes) -> object:
    """One JSON value; integers are exact, fractions are decimals. Raises Refused."""
    try:
        return _DECODER.decode(text.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        reason = f"not UTF-8: byte {error.start} is 0x{text[error.start]:02x}"
    except RecursionError:
        reason = "nested too deeply"
    except json.JSONDecodeError as error:
        reason = f"{error.msg} at line {error.lineno}, column {error.colno}" if text.strip() else "empty"
    raise Refused(Refusal.INVALID_JSON, reason)


def lines(text: bytes) -> Iterator[tuple[int, object]]:
    """The documents of NDJSON with their line numbers; empty lines are skipped. Raises Refused."""
    for number, line in enumerate(text.split(b"\n"), 1):
        if line.strip():
            try:
                yield number, document(line)
            except Refused as refused:
                raise Refused(refused.reason, f"line {number}: {refused.detail}") from None


def rows(text: bytes, spec: Csv) -> Iterator[tuple[int, dict[str, str]]]:
    """The rows of CSV as objects with their line numbers. Raises Refused."""
    reader = csv.reader(csv_text(text, spec).splitlines(keepends=True), delimiter=spec.delimiter, strict=True)
    header: Sequence[str] = spec.header
    try:
        for row in reader:
            if not row:
                continue
            if not header:
                header = check_header(row)
            else:
                yield reader.line_num, row_object(header, row, f"line {reader.line_num}")
    except csv.Error as error:
        raise Refused(Refusal.INVALID_CSV, f"line {reader.line_num}: {error}") from None


def csv_text(text: bytes, spec: Csv) -> str:
    """Bytes of CSV as text. Raises Refused."""
    try:
        return text.decode("utf-8-sig" if spec.encoding == "utf-8" else spec.encoding)
    except UnicodeDecodeError as error:
        found = text[error.start]
        raise Refused(Refusal.INVALID_CSV, f"not {spec.encoding}: byte {error.start} is 0x{found:02x}") from None


def check_header(names: Sequence[str]) -> list[str]:
    """The names of the columns, without spaces around them. Raises Refused."""
    header = [name.strip() for name in names]
    if len(header) > COLUMNS_MAX:
        raise Refused(Refusal.INVALID_CSV, f"{len(header)} columns; at most {COLUMNS_MAX} are read")
    if twice := next((name for name in header if name and header.count(name) > 1), None):
        raise Refused(Refusal.INVALID_CSV, f"two columns are named {shown(twice)}")
    return header


def row_object(header: Sequence[str], row: Sequence[str], where: str) -> dict[str, str]:
    """A row by the names of its columns. Raises Refused."""
    if len(row) != len(header):
        raise Refused(Refusal.INVALID_CSV, f"{where}: {len(row)} fields, but the header names {len(header)}")
    return dict(zip(header, row, strict=True))


def _integer(text: str) -> int | Decimal:
    return int(text) if len(text) <= _DIGITS_MAX else _decimal(text)


def _decimal(text: str) -> Decimal:
    if len(text) > 4 * _DIGITS_MAX:
        raise Refused(Refusal.INVALID_JSON, f"a number of {len(text)} characters")
    try:
        return Decimal(text)
    except InvalidOperation:
        raise Refused(Refusal.INVALID_JSON, f"the number {shown(text)} is out of range") from None


def _constant(text: str) -> NoReturn:
    raise Refused(Refusal.INVALID_JSON, f"{text} is not JSON")


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """An object; of a repeated key one reader takes the first value and the next one the last."""
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))
        raise Refused(Refusal.INVALID_JSON, f"the key {shown(twice)} stands twice in one object")
    return found


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique, parse_int=_integer, parse_float=_decimal, parse_constant=_constant
)
