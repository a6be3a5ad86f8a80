"""Stored records as a check reads them; head.lua has the layouts."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import msgspec

from atp.domain.records import Balance, Leg, Reservation
from atp.domain.state import Position, set_aside
from atp.ledger.records.stock import decode_position

#: What a whole reservation record starts with; a tombstone is a shorter array.
_WHOLE = 0xDC

_plain = msgspec.msgpack.Decoder().decode
_reservation = msgspec.msgpack.Decoder(Reservation).decode
_text = msgspec.msgpack.Encoder().encode


def plain(stored: bytes) -> list[Any]:
    """Any other record: a list that begins with its format."""
    return _plain(stored)


def reservation(identity: bytes, stored: bytes | None) -> Reservation | None:
    """The whole record; None where there is only a tombstone, nothing, or nothing that can be read."""
    if not stored or stored[0] != _WHOLE:
        return None
    # An array of 16: format first, bucket last. Struct and answers have the id in place of the format.
    try:
        return _reservation(b"\x9f" + _text((stored[-3:] + identity).decode()) + stored[4:-4])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def ended(id: str, stored: bytes | None, last: Reservation) -> Reservation | None:
    """Of a tombstone: how the reservation ended, as far as that is known, by its ``last`` state in a journal that lost
    its end. None where there is no tombstone of it."""
    if not stored or stored[0] == _WHOLE:
        return None
    _, _, bucket, state, seq, _ = _plain(stored)
    if bucket != id[:3]:
        return None
    found = deepcopy(last)
    found.seq = max(seq, last.seq)
    for a in (a for line in found.lines for a in line.allocations):
        setattr(a, state, getattr(a, state) + a.held + a.committed)
        a.held = a.committed = a.acknowledged = 0
        a.counted_by, a.counted, a.told, a.gone, a.ahead, a.tallies = "", [], [], 0, 0, []
    return found


def leg(id: bytes, stored: bytes) -> Leg:
    """Units held here for a basket over several partitions."""
    return msgspec.convert([id.decode(), *_plain(stored)[1:]], Leg)


def position(stored: bytes | None) -> Position:
    """A position; one that is not there is empty."""
    found = Position()
    if stored:
        decode_position(found, stored)
    return found


def place(field: bytes) -> tuple[str, str]:
    """Two names of a field, as sku and location."""
    first, _, second = field.decode().partition("\0")
    return first, second


def locations(sku: bytes | None, apart: bytes | None) -> list[str]:
    """What the record of a sku lists; a long list is kept apart from it."""
    text = _plain(sku)[6] if sku else ""
    return [at for at in ((apart or b"").decode() if text == "+" else text).split("\0") if at]


def deadline(id: str, of_leg: bytes | None, of_basket: bytes | None) -> int:
    """When anybody may ask about what is not decided here (ms): its leg's, else its basket's; 0 if all is decided."""
    if of_leg and not (found := leg(id.encode(), of_leg)).seq:
        return found.deadline
    _, of, *_, until, _ = _plain(of_basket) if of_basket else (0, "", 0, 0)
    return until if of == id else 0


def awaited(order: bytes | None) -> int:
    """When the first event that waits for the order is given up (ms), 0 if none does."""
    return min((until for until, _ in _plain(order)[3]), default=0) if order else 0


def against(position: Position, told: Balance) -> Iterator[tuple[str, int, int]]:
    """What a balance says of a position whatever its source: its name, ours, and what was told."""
    yield "held", position.held, told.held
    yield "committed", position.committed, told.committed
    yield "shipped", sum(position.shipped.values()), told.shipped_uncounted
    yield "set-aside", set_aside(position), told.set_aside
