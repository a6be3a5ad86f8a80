"""Lazy: records that stay as they are stored until somebody asks for one.

A rebuild looks at few records of its baseline: those that the entries behind it speak of. The others are passed on, to
the ledger or to the next baseline, as they are. A release that writes another format than it reads has to decode all
of them once, or they would never be written anew (R35).
"""

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from itertools import batched, chain

from atp.ledger.records.page import PAGE_ITEMS, Page


class Lazy[V](MutableMapping[str, V]):
    """Records of the key ``key``, a hash or a zset. Who goes through all of them decodes all of them first."""

    def __init__(self, key: str, decode: Callable[[str, bytes], V], type: str = "hash") -> None:
        self.decoded: dict[str, V] = {}
        self.stored: dict[bytes, bytes] = {}
        self._key, self._type = key, type
        self._decode = decode

    def pages(self) -> Iterator[Page]:
        """What nobody has asked for."""
        return stored_pages(self._key, self.stored, self._type)

    def __getitem__(self, key: str) -> V:
        if key not in self.decoded:
            self._wake(key)
        return self.decoded[key]

    def __setitem__(self, key: str, value: V) -> None:
        self._wake(key)
        self.decoded[key] = value

    def __delitem__(self, key: str) -> None:
        self._wake(key)
        del self.decoded[key]

    def __contains__(self, key: object) -> bool:
        return key in self.decoded or str(key).encode() in self.stored

    def __len__(self) -> int:
        return len(self.decoded) + len(self.stored)

    def __iter__(self) -> Iterator[str]:
        for key in list(self.stored):
            self._wake(key.decode())
        return iter(self.decoded)

    def _wake(self, key: str) -> None:
        stored = self.stored.pop(key.encode(), None)
        if stored is not None:
            self.decoded[key] = self._decode(key, stored)


def decoded[V](records: Mapping[str, V]) -> Mapping[str, V]:
    """Those of the records that are no stored bytes any more: all of them in a dict."""
    return records.decoded if isinstance(records, Lazy) else records


def undecoded(records: Mapping[str, object]) -> Iterator[Page]:
    """The others, in pages."""
    if isinstance(records, Lazy):
        yield from records.pages()


def stored_pages(key: str, stored: Mapping[bytes, bytes], type: str = "hash") -> Iterator[Page]:
    """Fields and values as they are; scores of a zset by their members, which come second in its pages."""
    for chunk in batched(stored.items(), PAGE_ITEMS):
        pairs = ((score, member) for member, score in chunk) if type == "zset" else chunk
        yield Page(key, type, list(chain.from_iterable(pairs)))
