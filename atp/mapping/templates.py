"""Templates make text of a row: ``"{Plant}-{StorageLocation}"``, ``"{productId}[-{dimensions.colorId}]"``.

A path stands in braces. What stands in brackets is left out when a value inside it is missing, null or empty. Doubled
braces and brackets stand for themselves.
"""

from collections.abc import Callable
from decimal import Decimal

from msgspec import Struct

from atp.mapping import gs1, paths
from atp.mapping.lookups import LookupTable
from atp.mapping.paths import Path
from atp.mapping.quantities import kind_of
from atp.mapping.reasons import Refusal, Refused, wrong
from atp.mapping.scopes import MISSING, Scope
from atp.mapping.spec import Text, Texts

_TEXT_MAX = 1_024  # of one filled template; identifiers are far below it


class Maybe(Struct, frozen=True):
    """A part that may be left out."""

    parts: "tuple[Part, ...]"


Part = str | Path | Maybe


class Template(Struct, frozen=True):
    """A template as it was read."""

    text: str
    parts: tuple[Part, ...]
    name: str = ""  # of the row's own key, when it is nothing but that; most are, and files have many rows

    def fill(self, scope: Scope) -> str | None:
        """The text, or None when a value it needs is missing or null. Raises Refused for what is no text."""
        if self.name and type(row := scope.value) is dict and not scope.message.ignore_case:
            value = row.get(self.name)
            if type(value) is str and len(value) <= _TEXT_MAX:
                return value
        if len(self.parts) == 1 and isinstance(part := self.parts[0], Path):
            return _value(part, scope)
        return _filled(self.parts, scope, needed=False)

    def missing(self, scope: Scope) -> str:
        """Where the first value is that is missing."""
        for part in self.parts:
            if isinstance(part, Path) and _value(part, scope) is None:
                return paths.where(part, scope)
        return self.text

    def uses(self, *roots: str) -> bool:
        """Whether a path of it begins with one of these."""
        return any(isinstance(part, Path) and part.root in roots for part in _flat(self.parts))


class Words:
    """Text of a mapping, ready to be read: the first complete template, and what is done to it."""

    def __init__(self, text: Texts, key: str, tables: dict[str, LookupTable]) -> None:
        spec = text if isinstance(text, Text) else Text(text)
        templates = [spec.templates] if isinstance(spec.templates, str) else spec.templates
        if not 0 < len(templates) <= 16:
            wrong(key, "needs one to sixteen templates")
        self.key = key
        self.templates = [parse(template, key) for template in templates]
        if spec.lookup and spec.lookup not in tables:
            wrong(key, f"there is no table lookup.{spec.lookup}")
        self._table = tables[spec.lookup] if spec.lookup else None
        self._gs1: Callable[[str], str] | None = gs1.READERS[spec.gs1] if spec.gs1 else None
        self._strip_zeros = spec.strip_zeros

    def read(self, scope: Scope) -> str | None:
        """The text; "" when all that was found is empty, None when nothing was. Raises Refused and Skipped."""
        text: str | None = None
        for template in self.templates:
            found = template.fill(scope)
            if found:
                text = found
                break
            text = found if text is None else text
        if not text:
            return text
        if self._gs1:
            try:
                text = self._gs1(text)
            except gs1.NotGs1 as error:
                raise Refused(Refusal.INVALID_IDENTIFIER, f"{self.key}: {scope.where}: {error}") from None
        if self._strip_zeros and text.isdigit():
            text = text.lstrip("0") or "0"
        return self._table.find(text, f"{self.key}: {scope.where}") if self._table else text

    def need(self, scope: Scope) -> str:
        """The text. Raises Refused when it is missing."""
        text = self.read(scope)
        if text is None:
            raise Refused(Refusal.INVALID_DATA, f"{self.key}: {self.templates[-1].missing(scope)} is not there")
        return text


def parse(text: str, key: str) -> Template:
    """The template in ``text``. Raises Wrong."""
    parts, end = _parse(text, 0, key, inside=False)
    if end != len(text):
        wrong(key, f"{text!r}: the ] at column {end + 1} closes nothing; write ]] for the character")
    only = parts[0] if len(parts) == 1 else None
    plain = isinstance(only, Path) and not only.root and len(only.steps) == 1 and isinstance(only.steps[0], str)
    return Template(text, parts, str(only.steps[0]) if isinstance(only, Path) and plain else "")


def _parse(text: str, at: int, key: str, *, inside: bool) -> tuple[tuple[Part, ...], int]:
    parts: list[Part] = []
    literal = ""
    while at < len(text):
        letter = text[at]
        if letter in "{}[]" and text[at : at + 2] == letter * 2 and not (inside and letter == "]"):
            literal += letter
            at += 2
            continue
        if letter == "]":
            break
        if letter not in "{[":
            if letter == "}":
                wrong(key, f"{text!r}: the }} at column {at + 1} closes nothing; write }}}} for the character")
            literal += letter
            at += 1
            continue
        if literal:
            parts.append(literal)
            literal = ""
        if letter == "{":
            end = _closing(text, at, key)
            parts.append(paths.parse(text[at + 1 : end].strip(), key))
        else:
            if inside:
                wrong(key, f"{text!r}: brackets inside brackets")
            within, end = _parse(text, at + 1, key, inside=True)
            if end == len(text) or not any(isinstance(part, Path) for part in within):
                wrong(
                    key,
                    f"{text!r}: the [ at column {at + 1} needs a path and a ] behind it; [[ is the character",
                )
            parts.append(Maybe(within))
        at = end + 1
    if literal:
        parts.append(literal)
    return tuple(parts), at


def _closing(text: str, at: int, key: str) -> int:
    """Where the brace opened at ``at`` closes, which is not inside quotes."""
    quoted = False
    for end in range(at + 1, len(text)):
        if text[end] == '"':
            quoted = not quoted
        elif text[end] == "}" and not quoted:
            return end
    return wrong(key, f"{text!r}: the {{ at column {at + 1} is not closed")


def _filled(parts: tuple[Part, ...], scope: Scope, *, needed: bool) -> str | None:
    pieces: list[str] = []
    for part in parts:
        if isinstance(part, str):
            pieces.append(part)
        elif isinstance(part, Maybe):
            pieces.append(_filled(part.parts, scope, needed=True) or "")
        else:
            value = _value(part, scope)
            if value is None or (needed and not value):
                return None
            pieces.append(value)
    text = "".join(pieces)
    if len(text) > _TEXT_MAX:
        raise Refused(Refusal.INVALID_DATA, f"{scope.where}: a name of {len(text)} characters; at most {_TEXT_MAX}")
    return text


def _value(path: Path, scope: Scope) -> str | None:
    value = paths.find(path, scope)
    if isinstance(value, str):
        if len(value) > _TEXT_MAX:
            where = paths.where(path, scope)
            raise Refused(Refusal.INVALID_DATA, f"{where} has {len(value)} characters; at most {_TEXT_MAX}")
        return value
    if value is None or value is MISSING:
        return None
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Decimal) and value == value.to_integral_value() and abs(value) < 10**30:
        return str(int(value))
    raise Refused(Refusal.INVALID_DATA, f"{paths.where(path, scope)} is {kind_of(value)}, where a text is needed")


def _flat(parts: tuple[Part, ...]) -> list[Part]:
    return [inner for part in parts for inner in (_flat(part.parts) if isinstance(part, Maybe) else (part,))]
