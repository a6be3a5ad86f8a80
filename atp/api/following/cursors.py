"""Cursors of the feed: where a reader is in the stream of availability events, or in going through all skus (R33).

They mean the same in every process and after every restart. Short, without characters that a URL changes.
"""

import re

from msgspec import Struct

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_TEXT = re.compile(r"1-[0-9a-z]{1,13}(-[0-9a-z]{1,13}){1,4}")


class Walk(Struct, frozen=True):
    """How far all skus were gone through: a partition and the server's own cursor in it."""

    partition: int = 0
    scan: int = 0
    server: int = 0  # which run of the server the cursor is of: another one orders its records anew


class Cursor(Struct, frozen=True):
    """Everything up to ``seq`` of the stream was told, once ``walk`` is over if there is one."""

    stream: int  # which stream: one that was made anew begins at 1 again
    seq: int
    walk: Walk | None = None

    def __str__(self) -> str:
        numbers = [self.stream, self.seq]
        if self.walk:
            numbers += [self.walk.partition, self.walk.scan, self.walk.server]
        return "-".join(["1", *map(_base36, numbers)])


def parse(text: str) -> Cursor | None:
    """The cursor, or None for what is none."""
    if not _TEXT.fullmatch(text):
        return None
    numbers = [int(part, 36) for part in text.split("-")[1:]]
    if len(numbers) not in (2, 5):
        return None
    return Cursor(numbers[0], numbers[1], Walk(*numbers[2:]) if numbers[2:] else None)


def _base36(number: int) -> str:
    text = ""
    while number >= 36:
        number, digit = divmod(number, 36)
        text = _DIGITS[digit] + text
    return _DIGITS[number] + text
