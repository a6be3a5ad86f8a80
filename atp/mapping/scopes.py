"""Where a rule stands while it reads: a message, and inside it rows within rows."""

import json
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Any, Final

import msgspec

from atp.mapping.reasons import Refusal, Refused


class _Missing:
    """Stands for what is not there; None is JSON's null, which is."""

    def __repr__(self) -> str:
        return "nothing"


MISSING: Final = _Missing()


class Reading:
    """A message being read: what all of its rows share."""

    __slots__ = ("_digest", "body", "headers", "ignore_case", "received")

    def __init__(self, headers: Mapping[str, str], body: bytes, received: str, ignore_case: bool) -> None:
        self.headers = {name.lower(): value for name, value in headers.items()}
        self.body = body
        self.received = received  # RFC 3339, or ""
        self.ignore_case = ignore_case
        self._digest = ""

    @property
    def digest(self) -> str:
        """Of the body, byte by byte."""
        self._digest = self._digest or blake2b(self.body, digest_size=16).hexdigest()
        return self._digest


class Scope:
    """One row: its value, the row around it and the way from there."""

    __slots__ = ("key", "message", "parent", "trail", "value")

    def __init__(
        self, value: object, parent: "Scope | None", trail: Iterable[Any], key: str | int | None, message: Reading
    ) -> None:
        self.value = value
        self.parent = parent
        self.trail = tuple(trail)
        self.key = key
        self.message = message

    @property
    def where(self) -> str:
        """The row's path from the root of the message, for people."""
        return joined(self.parent.where if self.parent else "$", self.trail)

    def special(self, name: str) -> object:
        """A path that begins with @."""
        match name:
            case "@value":
                return self.value
            case "@key" | "@index":
                return MISSING if self.key is None else self.key
            case "@received":
                return self.message.received or MISSING
            case "@digest":
                return self.message.digest
            case _:
                return self.hash()

    def hash(self) -> str:
        """A digest of the row and of the plain values beside it in the rows around it."""
        hasher = blake2b(digest_size=16)
        scope: Scope | None = self
        value = self.value
        while scope is not None:
            hasher.update(_written(value, self))
            scope = scope.parent
            around = scope.value if scope else None
            value = {k: v for k, v in around.items() if not isinstance(v, (dict, list))} if isinstance(around, dict) \
                else None  # fmt: skip
        return hasher.hexdigest()


def _written(value: object, row: Scope) -> bytes:
    """A value as text that is the same for the same value."""
    try:
        return msgspec.json.encode(value, order="sorted")
    except RecursionError:
        raise Refused(Refusal.INVALID_JSON, f"{row.where}: nested too deeply") from None
    except UnicodeEncodeError:  # half a character, which only the standard library writes
        return json.dumps(value, sort_keys=True, default=str).encode()


def joined(place: str, steps: Iterable[object]) -> str:
    """``$.items[3]`` from ``$`` and its steps."""
    for step in steps:
        if isinstance(step, int):
            place += f"[{step}]"
        elif isinstance(step, str):
            place += f".{step}" if step.isidentifier() else f".{step!a}"
    return place
