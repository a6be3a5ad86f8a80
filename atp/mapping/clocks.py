"""Times as vendors write them, as one moment in UTC; a time without an offset needs a rule for its zone (R14)."""

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from decimal import Decimal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from atp.mapping.reasons import Refusal, Refused, shown, wrong

#: Names of formats; anything else that holds a % is a pattern of strptime.
FORMATS = frozenset(("rfc3339", "date", "odata", "epoch-s", "epoch-ms"))

_TEXT_MAX = 64
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DATE = re.compile(r"(\d{4})-?(\d{2})-?(\d{2})", re.ASCII)
_RFC3339 = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2}:\d{2})(?:[.,](\d{1,9}))?\s*([Zz]|[+-]\d{2}:?\d{2})?", re.ASCII
)
_ODATA = re.compile(r"/Date\((-?\d{1,15})(?:[+-]\d{4})?\)/", re.ASCII)
_NUMBER = re.compile(r"\d{1,15}(?:\.\d{1,9})?", re.ASCII)
_DURATION = re.compile(r"PT(?:(\d{1,2})H)?(?:(\d{1,2})M)?(?:(\d{1,2})S)?", re.ASCII)
_CLOCK = re.compile(r"(\d{2}):?(\d{2}):?(\d{2})", re.ASCII)


def zone_of(name: str, key: str) -> tzinfo | None:
    """The zone of a mapping, None for none. Raises Wrong."""
    if not name:
        return None
    if name == "UTC":
        return UTC  # also where no zone database is installed
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return wrong(key, f"{name!r} is no zone this machine knows, like Europe/Berlin")


def check_format(text: str, key: str) -> str:
    """The format itself. Raises Wrong."""
    if text not in FORMATS and "%" not in text:
        wrong(key, f"{text!r} is none of {', '.join(sorted(FORMATS))}, and no pattern with % either")
    return text


def moment(value: object, formats: Sequence[str], zone: tzinfo | None, where: str) -> datetime:
    """A value as a moment, by the first format that fits. Raises Refused."""
    text = _text(value, where)
    for format in formats:
        try:
            found = _read(text, format)
        except (ValueError, OverflowError):
            found = None
        if found is not None:
            return _placed(found, zone, text, where)
    raise Refused(Refusal.INVALID_VERSION, f"{where}: {shown(text)} is no time of the form {' or '.join(formats)}")


def day_and_time(day: object, formats: Sequence[str], clock: object, zone: tzinfo | None, where: str) -> datetime:
    """A date in one field and a time of day in another, both by the clock on the wall of ``zone``. Raises Refused."""
    if zone is None:
        raise Refused(Refusal.INVALID_VERSION, f"{where}: date and time of day have no offset; say version.zone = …")
    date = moment(day, formats, UTC, where)
    text = _text(clock, where)
    found = _DURATION.fullmatch(text) or _CLOCK.fullmatch(text)
    hours, minutes, seconds = (int(part or 0) for part in found.groups()) if found else (99, 0, 0)
    if hours > 23 or minutes > 59 or seconds > 59:
        raise Refused(
            Refusal.INVALID_VERSION, f"{where}: {shown(text)} is no time of day, like PT09H14M02S or 09:14:02"
        )
    wall = datetime.combine(date.date(), time(hours, minutes, seconds))
    return _placed(wall, zone, text, where)


def since_epoch(micros: int) -> datetime:
    """The moment so many µs after 1970."""
    return _EPOCH + timedelta(microseconds=micros)


def rfc3339(at: datetime) -> str:
    """As events carry it: UTC, with microseconds only if there are any."""
    text = at.astimezone(UTC).replace(tzinfo=None).isoformat()
    return f"{text}Z"


def _text(value: object, where: str) -> str:
    if isinstance(value, (int, Decimal)) and not isinstance(value, bool) and abs(value) < 10**15:
        return str(value)
    if not isinstance(value, str) or not 0 < len(value) <= _TEXT_MAX:
        raise Refused(Refusal.INVALID_VERSION, f"{where} is no time")
    return value.strip()


def _read(text: str, format: str) -> datetime | None:
    """None or ValueError when the text has another form."""
    match format:
        case "rfc3339":
            if not (found := _RFC3339.fullmatch(text)):
                return None
            micros = (found[3] or "").ljust(6, "0")[:6]
            offset = (found[4] or "").upper().replace("Z", "+00:00")
            return datetime.fromisoformat(f"{found[1]}T{found[2]}.{micros}{offset}")
        case "date":
            found = _DATE.fullmatch(text)
            return datetime.combine(date(*map(int, found.groups())), time()) if found else None
        case "odata":
            found = _ODATA.fullmatch(text)
            return _EPOCH + timedelta(milliseconds=int(found[1])) if found else None
        case "epoch-s" | "epoch-ms":
            if not _NUMBER.fullmatch(text):
                return None
            micros = int(Decimal(text) * (1_000_000 if format == "epoch-s" else 1_000))
            return _EPOCH + timedelta(microseconds=micros)
        case _:
            return datetime.strptime(text, format)


def _placed(at: datetime, zone: tzinfo | None, text: str, where: str) -> datetime:
    if at.tzinfo is None:
        if zone is None:
            raise Refused(
                Refusal.INVALID_VERSION,
                f"{where}: {shown(text)} has no offset; say where its clock is: version.zone = …",
            )
        at = at.replace(tzinfo=zone)
    try:
        at = at.astimezone(UTC)
    except OverflowError:
        raise Refused(Refusal.INVALID_VERSION, f"{where}: {shown(text)} is out of range") from None
    if at < _EPOCH:
        raise Refused(Refusal.INVALID_VERSION, f"{where}: {shown(text)} is before 1970")
    return at
