"""What may go wrong, in two kinds: a mapping that is written wrongly, and a message that it cannot read."""

from enum import StrEnum, unique
from typing import Never

#: Characters of a vendor's value that a message about it repeats.
SHOWN_MAX = 64


@unique
class Refusal(StrEnum):
    """Why a message yields nothing. Those that dead letters know as well have the same name there."""

    NOT_ACCEPTED = "not-accepted"
    INVALID_JSON = "invalid-json"
    INVALID_CSV = "invalid-csv"
    TOO_LARGE = "too-large"
    INVALID_DATA = "invalid-data"
    INVALID_IDENTIFIER = "invalid-identifier"
    UNKNOWN_ID = "unknown-id"  # a lookup table does not have it
    UNKNOWN_CODE = "unknown-code"  # a table of signs or units does not have it
    INVALID_QUANTITY = "invalid-quantity"
    VERSION_MISSING = "version-missing"
    INVALID_VERSION = "invalid-version"
    DUPLICATE_LINE = "duplicate-line"


class Refused(Exception):
    """A message fails by its own content; ``detail`` says where and what. Nothing of the message is used."""

    def __init__(self, reason: Refusal, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"


class MappingError(Exception):
    """A mapping is wrong: the text names the file, the key and the reason."""

    def __init__(self, file: str, key: str, reason: str) -> None:
        super().__init__(f"{file}: {key}: {reason}" if key else f"{file}: {reason}")
        self.file = file
        self.key = key
        self.reason = reason


class Wrong(Exception):
    """A piece of a mapping is wrong; whoever knows the file makes a MappingError of it."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(key, reason)
        self.key = key
        self.reason = reason


def wrong(key: str, reason: str) -> Never:
    """Raise Wrong."""
    raise Wrong(key, reason)


def shown(value: object) -> str:
    """A stranger's value as one short line that every terminal can print."""
    text = ascii(value) if isinstance(value, str) else str(value)
    return text if len(text) <= SHOWN_MAX else text[:SHOWN_MAX] + "…"
