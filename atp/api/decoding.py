"""Decoding: from the bytes of a body to a checked struct, or to a problem that points at the fault.

msgspec checks types and bounds in one pass. Three things it lets through are caught here: keys that appear twice (the
last would win silently, ``"quantity": 1, "quantity": 5``), nesting so deep that it ends in RecursionError, and bytes
that are not UTF-8 (research/reliability.md §5).
"""

import json as stdlib_json
import re
from bisect import bisect_left
from typing import Any

from msgspec import DecodeError, ValidationError, json

from atp.api.problems import Problem, invalid

_AT = re.compile(r" - at (?:`key` in )?`\$(.*)`$")
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]|\[\.\.\.\]")
_FIELD = re.compile(r"^Object (?:contains unknown|missing required) field `([^`]*)`")


class Body[T]:
    """A strict decoder of one struct, made once and used for every request.

    Not ``nested``: keys that appear twice are looked for at the top alone, since the parts are decoded on their own.
    ``parts``: they are not looked for at all, since the body is a list of such parts.
    """

    def __init__(self, type: type[T], *, nested: bool = True, parts: bool = False) -> None:
        self.type = type
        self._decode = json.Decoder(type).decode
        self._scan = str if parts else _scan if nested else _scan_top

    def decode(self, raw: bytes) -> T:
        """The struct. Raises Problem (400) with a JSON Pointer where one can be named."""
        try:
            decoded = self._decode(raw)
            if not _all_differ(raw):
                self._scan(raw.decode())
        except ValidationError as error:
            raise self._invalid_value(str(error), raw) from None
        except (DecodeError, UnicodeDecodeError) as error:
            raise invalid(f"The body is not JSON in UTF-8: {error}.", pointer="") from None
        except RecursionError:
            raise invalid("The body is nested too deep.", pointer="") from None
        except _KeyTwice as error:
            pointer = _find_twice(raw)
            raise invalid(f"The key {error.args[0]!r} appears twice in one object.", pointer=pointer) from None
        return decoded

    def _invalid_value(self, message: str, raw: bytes) -> Problem:
        """msgspec names the place as ``$.lines[0].quantity``; a key that may not be there, or is missing, comes first.

        The value of a key that is the caller's own it calls ``[...]``.
        """
        steps: list[str] = []
        detail = message
        if at := _AT.search(message):
            detail = message[: at.start()]
            for name, index in _STEP.findall(at[1]):
                key = name or index or self._wrong_key(message, raw, steps)
                if key is None:
                    break
                steps.append(key)
        if field := _FIELD.match(detail):
            steps.append(field[1])
        return invalid(f"{detail.replace('`', '')}.", pointer="".join(f"/{escape(step)}" for step in steps))

    def _wrong_key(self, message: str, raw: bytes, steps: list[str]) -> str | None:
        """The first key of the object at ``steps`` whose value is refused in these words; None if it cannot be told."""
        try:
            whole = inner = stdlib_json.loads(raw)
            for step in steps:
                inner = inner[int(step)] if isinstance(inner, list) else inner[step]
            pairs = list(inner.items())
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            return None  # what follows the fault is no JSON, or has this key a second time

        def refused(count: int) -> bool:
            inner.clear()
            inner.update(pairs[:count])
            try:
                self._decode(stdlib_json.dumps(whole))
            except DecodeError as error:
                return str(error) == message
            return False

        at = bisect_left(range(1, len(pairs) + 1), True, key=refused)  # they are decoded in order
        return pairs[at][0] if at < len(pairs) else None


def escape(token: str) -> str:
    """One token of a JSON Pointer (RFC 6901)."""
    return token.replace("~", "~0").replace("/", "~1")


def _all_differ(raw: bytes) -> bool:
    """Whether no string of a well-formed JSON text occurs twice, and so no key. Says no of text that it cannot judge.

    Without a backslash, quotes only begin and end strings. Most bodies are told apart by this, at a tenth of the cost.
    """
    if b"\\" in raw or not raw.isascii():
        return False
    strings = raw.split(b'"')[1::2]
    return len(set(strings)) == len(strings)


class _KeyTwice(Exception):
    pass


def _unique(pairs: list[tuple[str, Any]]) -> None:
    if len({key for key, _ in pairs}) != len(pairs):
        seen: set[str] = set()
        raise _KeyTwice(next(key for key, _ in pairs if key in seen or seen.add(key)))


#: The C scanner of the standard library calls back once per object: 2 µs for a usual body.
_scan = stdlib_json.JSONDecoder(object_pairs_hook=_unique).decode


class _Pairs(list[tuple[str, Any]]):
    pass


_pairs = stdlib_json.JSONDecoder(object_pairs_hook=_Pairs).decode


def _scan_top(text: str) -> None:
    whole = _pairs(text)
    if isinstance(whole, _Pairs):
        _unique(whole)


def _find_twice(raw: bytes) -> str:
    """Pointer to the first key that appears twice; a second and slower look that only a refused body gets."""
    todo: list[tuple[str, Any]] = [("", _pairs(raw.decode()))]
    while todo:
        pointer, value = todo.pop()
        if isinstance(value, _Pairs):
            seen: set[str] = set()
            for key, inner in value:
                if key in seen:
                    return f"{pointer}/{escape(key)}"
                seen.add(key)
                todo.append((f"{pointer}/{escape(key)}", inner))
        elif isinstance(value, list):
            todo.extend((f"{pointer}/{index}", inner) for index, inner in enumerate(value))
    return ""
