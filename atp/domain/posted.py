"""Events that somebody posts instead of publishing them: what the door says, and what may go wrong behind it."""

from msgspec import Struct


class Posted(Struct, frozen=True):
    """One event. ``reason`` "" says that it was accepted; ``id`` is "" where none could be read."""

    id: str
    reason: str = ""
    detail: str = ""


class MappingUnknown(Exception):
    """There is no mapping of this name."""


class SignatureWrong(Exception):
    """A message is not proven to be from its vendor; the text says why, and nothing that would help to forge one."""


class SourceNotAllowed(Exception):
    """The proof is good, but not for this source."""


class StreamAway(Exception):
    """Nothing was stored: the stream cannot be reached or took nothing; the text says why."""


class StreamUncertain(Exception):
    """No answer came: what was sent may be stored or not. Sending it once more has no second effect."""
