"""Page: part of one stored key."""

from collections.abc import Iterable, Iterator
from itertools import batched

from msgspec import Struct

#: Fields, members or items of one page: a command of a few hundred KB, which stalls the server for about 1 ms.
PAGE_ITEMS = 1_000

_COMMANDS = {"hash": "HSET", "list": "RPUSH", "zset": "ZADD"}


class Page(Struct, array_like=True):
    """Part of the key ``key`` below the partition's prefix.

    ``items`` are what its command takes: field and value in turn, items of a list, score and member in turn.
    """

    key: str
    type: str  # hash, list or zset
    items: list[bytes]

    @property
    def records(self) -> int:
        """How many fields, members or items."""
        return len(self.items) if self.type == "list" else len(self.items) // 2


def command(prefix: str, page: Page) -> tuple[bytes | str, ...]:
    """The words of the one command that stores the page; pages of a list must be stored in their order."""
    return _COMMANDS[page.type], prefix + page.key, *page.items


def hash_pages(key: str, fields: Iterable[tuple[str, bytes]]) -> Iterator[Page]:
    """A hash, none if it has no field."""
    for chunk in batched(fields, PAGE_ITEMS):
        items: list[bytes] = []
        for field, value in chunk:
            items.append(field.encode())
            items.append(value)
        yield Page(key, "hash", items)


def list_pages(key: str, items: Iterable[bytes]) -> Iterator[Page]:
    """A list, none if it is empty."""
    for chunk in batched(items, PAGE_ITEMS):
        yield Page(key, "list", list(chunk))


def score_pages(key: str, scores: Iterable[tuple[str, int]]) -> Iterator[Page]:
    """A sorted set, none if it is empty."""
    for chunk in batched(scores, PAGE_ITEMS):
        yield Page(key, "zset", [word for member, score in chunk for word in (b"%d" % score, member.encode())])
