"""Pages of records as a baseline keeps them (R20): msgpack of [key, items], compressed."""

import zlib
from collections.abc import Iterator, Sequence

import msgspec

from atp.ledger.records import Page

#: Fast; more effort saves little of what is mostly digits and ids.
_LEVEL = 1

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Page]).decode


def pack(pages: Sequence[Page]) -> bytes:
    """One page of a baseline."""
    return zlib.compress(_encode(pages), _LEVEL)


def unpack(body: bytes) -> list[Page]:
    """What ``pack`` was given. Raises ValueError for anything else."""
    try:
        return _decode(zlib.decompress(body))
    except (zlib.error, msgspec.DecodeError) as problem:
        raise ValueError(f"a page of a baseline cannot be read: {problem}") from problem


class Packer:
    """Gathers records until they make a page of about ``page_bytes``."""

    def __init__(self, page_bytes: int) -> None:
        self._page_bytes = page_bytes
        self._pages: list[Page] = []
        self._size = 0

    def add(self, page: Page) -> Iterator[bytes]:
        """The page that is full now, if one is."""
        self._pages.append(page)
        self._size += sum(map(len, page.items))
        if self._size >= self._page_bytes:
            yield from self.rest()

    def rest(self) -> Iterator[bytes]:
        """What is left."""
        if self._pages:
            yield pack(self._pages)
        self._pages, self._size = [], 0
