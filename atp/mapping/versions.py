"""The version rule of a mapping: which of two events about a position is the newer one (R14)."""

from decimal import Decimal

from msgspec import Struct

from atp.mapping import clocks, paths
from atp.mapping.reasons import Refusal, Refused, shown, wrong
from atp.mapping.scopes import MISSING, Scope
from atp.mapping.spec import Version


class Stamp(Struct, frozen=True):
    """The version of one event: a sequence, or a time in RFC 3339."""

    sequence: int | None = None
    time: str = ""


class Clock:
    """A version rule, ready to read rows."""

    def __init__(self, spec: Version, key: str) -> None:
        if (spec.sequence is not None) + (spec.time is not None) + spec.given != 1:
            wrong(key, "needs exactly one of sequence, time and given = true")
        named = "sequence" if spec.sequence is not None else "time"
        self.given = spec.given
        self._key = key
        self._kind = named
        self._paths = _paths(spec.sequence if spec.sequence is not None else spec.time, f"{key}.{named}")
        self._plus = _paths(spec.plus, f"{key}.plus")
        if self._plus and named != "time":
            wrong(f"{key}.plus", "belongs to a time")
        formats = [spec.format] if isinstance(spec.format, str) else spec.format
        self._formats = [clocks.check_format(text, f"{key}.format") for text in formats]
        if not self._formats:
            wrong(f"{key}.format", "needs at least one")
        self._zone = clocks.zone_of(spec.zone, f"{key}.zone")

    def read(self, scope: Scope, given: Stamp | None) -> Stamp:
        """The version of a row. Raises Refused."""
        if self.given:
            if given is None:
                raise Refused(
                    Refusal.VERSION_MISSING,
                    f"{self._key}: this mapping takes the version from outside: when a message arrived, or for a file "
                    f"--sequence or --version-time",
                )
            return given
        where, value = self._first(self._paths, scope)
        if value is None:
            raise Refused(Refusal.VERSION_MISSING, f"{self._key}: {where} is not there")
        where = f"{self._key}: {where}"
        if self._kind == "sequence":
            return Stamp(sequence_of(value, where))
        if self._plus:
            clock = self._first(self._plus, scope)[1]
            return Stamp(time=clocks.rfc3339(clocks.day_and_time(value, self._formats, clock, self._zone, where)))
        return Stamp(time=clocks.rfc3339(clocks.moment(value, self._formats, self._zone, where)))

    @staticmethod
    def _first(among: list[paths.Path], scope: Scope) -> tuple[str, object]:
        for path in among:
            value = paths.find(path, scope)
            if value is not MISSING and value is not None and value != "":
                return paths.where(path, scope), value
        return paths.where(among[-1], scope), None


def sequence_of(value: object, where: str) -> int:
    """An unsigned number below 2⁶³, also as text. Raises Refused."""
    number = -1
    if isinstance(value, str):
        if value.isascii() and value.isdigit() and len(value) <= 19:
            number = int(value)
    elif isinstance(value, int | Decimal) and not isinstance(value, bool) and 0 <= value < 1 << 63:
        number = int(value) if value == int(value) else -1
    if 0 <= number < 1 << 63:
        return number
    raise Refused(Refusal.INVALID_VERSION, f"{where}: {shown(value)} is no sequence from 0 to 2^63 - 1")


def _paths(spec: str | list[str] | None, key: str) -> list[paths.Path]:
    texts = [spec] if isinstance(spec, str) else spec or []
    if spec is not None and not texts:
        wrong(key, "needs at least one path")
    return [paths.parse(text, key) for text in texts]
