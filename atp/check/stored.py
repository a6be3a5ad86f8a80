"""Stored records as a check reads them; head.lua has the layouts."""

from typing import Any

import msgspec

from atp.domain.records import Leg, Reservation
from atp.domain.state import Position
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
