"""Which positions a message that failed speaks of, as far as that can be told: answers mark them as suspect (R14)."""

from collections.abc import Iterable, Iterator
from json import dumps
from typing import Any

from msgspec import DecodeError, json

from atp.domain.identifiers import fault

#: Positions named by one dead letter, and bytes they may take in its header.
POSITIONS_MAX = 200
_BYTES_MAX = 8_192

_decode = json.Decoder().decode


def positions_in(payload: bytes) -> list[tuple[str, str]]:
    """Those of the lines of an event in either mode, however wrong the rest of it is."""
    try:
        whole = _decode(payload)
    except (DecodeError, UnicodeDecodeError, RecursionError):
        return []
    return list(dict.fromkeys(_named(whole)))[:POSITIONS_MAX]


def header_of(positions: Iterable[tuple[str, str]]) -> str:
    """As the header of a dead letter, not too long for what else it carries."""
    parts, size = [], 0
    for sku, location in list(dict.fromkeys(positions))[:POSITIONS_MAX]:
        part = dumps([sku, location])  # ASCII, which any header may hold
        size += len(part) + 1
        if size > _BYTES_MAX:
            break
        parts.append(part)
    return f"[{','.join(parts)}]" if parts else ""


def _named(whole: Any) -> Iterator[tuple[str, str]]:
    event = whole.get("data", whole) if isinstance(whole, dict) else None
    lines = event.get("lines") if isinstance(event, dict) else None
    for line in lines if isinstance(lines, list) else ():
        if isinstance(line, dict):
            sku, location = line.get("sku"), line.get("location")
            if isinstance(sku, str) and isinstance(location, str) and not fault(sku) and not fault(location):
                yield sku, location
