"""Quotas in the ledger: what a client may still ask for, shared by all processes (R31)."""

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from atp.ledger.errors import LedgerUnavailable
from atp.ledger.reader import Reader


class Spending(Struct, array_like=True):
    """What one process has to say of one client's quota."""

    name: str
    rate: float  # requests a second
    burst: float  # most of them at once
    spent: float  # since the last call
    wanted: float  # a second, with those that were refused


class Share(Struct, array_like=True):
    """What is left for all processes, and which part of it, and of what is to come, is this one's."""

    left: float  # negative when processes spent more together than there was: it has to come in first
    part: float  # 0…1


_encode = msgspec.msgpack.Encoder().encode
_shares = msgspec.msgpack.Decoder(list[Share])


class Quotas:
    """One call for all clients that asked for anything."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def share(self, process: str, spending: Sequence[Spending]) -> list[Share]:
        """Tell what was spent; a share for each, in order. Raises LedgerUnavailable, LedgerRecovering."""
        answer = await self._reader.call("quota", process, _encode(spending))
        try:
            return _shares.decode(answer)
        except msgspec.DecodeError as problem:
            raise LedgerUnavailable(f"the ledger's answer cannot be read: {problem}") from problem
