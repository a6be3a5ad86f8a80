"""Waiting rooms in the ledger: all processes see the same arrivals and the same admission."""

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from atp.ledger.errors import LedgerUnavailable
from atp.ledger.reader import Reader


class Attendance(Struct, array_like=True):
    """What one process has to say of one campaign's room."""

    campaign: str
    opens: int  # ms
    closes: int
    customers: list[str]  # digests of those who arrive
    served: int = 0  # reserves that got a decision since the last call
    shed: int = 0  # reserves refused for want of capacity since then


class Standing(Struct, array_like=True):
    """How a room stands. Places are counted from 0; who has one below ``admitted`` may reserve."""

    now: int  # ms
    is_open: bool
    early: int  # arrived before it opened, counted once each to within a percent; a place is drawn for each
    arrived: int
    admitted: float
    rate: float  # admitted a second
    first: int  # place of the first of this call's customers; the others follow it


_encode = msgspec.msgpack.Encoder().encode
_standings = msgspec.msgpack.Decoder(list[Standing])


class Rooms:
    """One call for all rooms that a process has to do with."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def attend(self, attendances: Sequence[Attendance]) -> list[Standing]:
        """Bring arrivals and what was served; a standing for each. Raises LedgerUnavailable, LedgerRecovering."""
        answer = await self._reader.call("room", _encode(attendances))
        try:
            return _standings.decode(answer)
        except msgspec.DecodeError as problem:
            raise LedgerUnavailable(f"the ledger's answer cannot be read: {problem}") from problem
