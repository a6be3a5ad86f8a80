"""Numbers as vendors write them, and whole units made of them."""

import re
from decimal import Decimal

from atp.mapping.reasons import Refusal, Refused, shown

#: The contract's bound of one line (CONTRACT "NATS").
UNITS_MAX = 1_000_000_000

#: Digits of a number; more than enough for the bound, and few enough that no arithmetic takes long.
_DIGITS_MAX = 40

_NUMBER = re.compile(r"\s*(?P<lead>[+-]?)(?P<whole>[0-9]{1,40})(?:[.](?P<part>[0-9]{1,40}))?(?P<trail>[+-]?)\s*")


def number(value: object, where: str, *, decimal_comma: bool = False) -> int | Decimal:
    """A JSON number or a text like "12.00000", "-3" or SAP's "3-". Raises Refused."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, Decimal):
        if not value.is_finite() or abs(value.adjusted()) > _DIGITS_MAX or len(value.as_tuple().digits) > _DIGITS_MAX:
            raise Refused(Refusal.INVALID_QUANTITY, f"{where}: {shown(value)} has too many digits")
        return value
    if not isinstance(value, str):
        raise Refused(Refusal.INVALID_QUANTITY, f"{where}: {kind_of(value)} is no number")
    text = value
    if decimal_comma:
        if "." in text:
            raise Refused(Refusal.INVALID_QUANTITY, f"{where}: {shown(value)} has a point where a comma is expected")
        text = text.replace(",", ".")
    found = _NUMBER.fullmatch(text) if len(text) <= 2 * _DIGITS_MAX else None
    if not found or (found["lead"] and found["trail"]):
        hint = "; separators between thousands are not read" if "," in value or "'" in value else ""
        raise Refused(Refusal.INVALID_QUANTITY, f"{where}: {shown(value)} is no number{hint}")
    sign = -1 if "-" in (found["lead"], found["trail"]) else 1
    part = (found["part"] or "").rstrip("0")
    if not part:
        return sign * int(found["whole"])
    return sign * Decimal(f"{found['whole']}.{part}")


def units(amount: int | Decimal, where: str) -> int:
    """Whole units of at most 10⁹ either way. Raises Refused."""
    whole = int(amount)
    if whole != amount:
        raise Refused(
            Refusal.INVALID_QUANTITY,
            f"{where}: {shown(amount)} is not a whole number of units; if the item is counted in smaller ones, say how "
            f"many go into one: units = …",
        )
    if abs(whole) > UNITS_MAX:
        raise Refused(Refusal.INVALID_QUANTITY, f"{where}: {shown(whole)} is beyond {UNITS_MAX} units")
    return whole


def kind_of(value: object) -> str:
    """What a JSON value is, for people."""
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case str():
            return "text"
        case list():
            return "an array"
        case dict():
            return "an object"
        case int() | Decimal():
            return "a number"
        case _:
            return "nothing"
