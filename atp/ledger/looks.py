"""Looks: records as they are stored, several of them as of one seq, for those who compare them with each other."""

from collections.abc import Sequence
from typing import Any
from zlib import crc32

from msgspec import Struct, msgpack

from atp.ledger import wire
from atp.ledger.reader import Reader

_decode = msgpack.Decoder(list).decode

#: Records of one page: about a millisecond of the server's one thread.
PAGE = 256


class Look(Struct, frozen=True):
    """Answers to plain reads, in order, all as of the entry ``seq``."""

    seq: int
    answers: list[Any]


class Page(Struct, frozen=True):
    """Some of the fields of a hash, or members of a sorted set, with their values or scores, as of ``seq``."""

    seq: int
    cursor: str  # of the next page, "0" after the last
    items: list[tuple[bytes, bytes]]


class Looks:
    """Reads beside the ledger's commands; every one may raise LedgerUnavailable or LedgerRecovering."""

    def __init__(self, readers: Sequence[Reader]) -> None:
        self._readers = readers

    async def at(self, partition: int, *asked: Sequence[str | int]) -> Look:
        """Ask HMGET, ZMSCORE, HLEN or ZCARD of keys as ``keys.TABLE`` names them."""
        seq, *answers = await self._readers[partition].call("look", wire.encode_queries([tuple(a) for a in asked]))
        return Look(int(seq), answers)

    async def page(self, partition: int, key: str, cursor: str, *, scores: bool = False, count: int = PAGE) -> Page:
        """A page of one key; ``cursor`` is "0" for the first. What is there all the time is on some page, or on two."""
        look = await self.at(partition, ("ZSCAN" if scores else "HSCAN", key, cursor, "COUNT", count))
        after, flat = look.answers[0]
        return Page(look.seq, after.decode(), list(zip(flat[::2], flat[1::2], strict=True)))

    async def any_promised(self, location: str) -> bool:
        """Whether units are held or committed at the location; a look at all positions, in small steps."""
        end = f"\0{location}".encode()
        for partition in range(len(self._readers)):
            cursor = ""
            while cursor != "0":
                page = await self.page(partition, "pos", cursor or "0")
                cursor = page.cursor
                for place, stored in page.items:
                    if place.endswith(end) and any(_decode(stored)[1:3]):  # held, committed
                        return True
        return False

    async def skus(self, partition: int, cursor: int, count: int) -> tuple[int, int, list[str]]:
        """A page of the names of all skus; ``cursor`` is 0 for the first, and the one given is 0 after the last.

        A cursor is good for one run of the server, which the first number names. Small ledgers come in one page.
        """
        reader = self._readers[partition]
        about = await reader.command("INFO", "server")
        after, names = await reader.command("HSCAN", reader.key("sku"), cursor, "COUNT", count, "NOVALUES")
        return crc32(about[about.find(b"run_id:") :][:47]), int(after), [name.decode() for name in names]

    async def wrong_sums(self, partition: int, skus: Sequence[str]) -> list[str]:
        """Those of the skus whose sums over their positions are not what the positions say, read in one step."""
        return (await self._readers[partition].ask(wire.ask_wrong_sums(skus)))[0]
