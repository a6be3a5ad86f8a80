"""Deliveries as the whole ledger has them: which of them should have come (R10)."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

from msgspec import msgpack

from atp.domain.commands import Overdue
from atp.domain.state import OVERDUE_MS
from atp.ledger.reader import Reader

_decode = msgpack.Decoder(list[Any]).decode

#: Deliveries looked at in one step.
_SCAN = 500


class Supplies:
    """Reads beside the ledger's commands; may raise LedgerUnavailable."""

    def __init__(self, readers: Sequence[Reader]) -> None:
        self._readers = readers

    async def overdue(self, now: int) -> AsyncIterator[list[Overdue]]:
        """Pages of commands that tell of what should have come by ``now`` (ms) and was not told yet.

        A long look at all deliveries, in small steps: there is no list of those that are due.
        """
        for reader in self._readers:
            cursor = b"0"
            while True:
                cursor, items = await reader.command("HSCAN", reader.key("supply"), cursor, "COUNT", _SCAN)
                page = [
                    Overdue(*field.decode().split("\0"))
                    for field, stored in zip(items[::2], items[1::2], strict=True)
                    if _is_overdue(stored, now)
                ]
                if page:
                    yield page
                if int(cursor) == 0:
                    break


def _is_overdue(stored: bytes, now: int) -> bool:
    _, _, starts_at, quantity, received, _, _, _, *told = _decode(stored)
    return quantity > received and now >= starts_at + OVERDUE_MS and not any(told[:1])
