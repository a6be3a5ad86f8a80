"""Witness: what a process says of a ledger that is not the one it knows, and when it believes a newer one (R2)."""

import contextlib
import time

import structlog

from atp.ledger import keys, library
from atp.ledger.connection import Connection, ServerRefused

log = structlog.get_logger("atp.ledger")

#: A refused process is refused again and again; it need not say each time what it has seen.
TELL_EVERY_S = 0.3


class Witness:
    """One process beside one partition."""

    def __init__(self, namespace: str, partition: int, process: str) -> None:
        self._key = keys.prefix(namespace, partition) + "witness"
        self._meta = keys.meta(namespace, partition)
        self._process = process
        self._told_at = 0.0

    async def refused(self, connection: Connection, message: str, epoch: int, seq: int) -> int:
        """The epoch to go on with: the newer one of a rebuilt ledger, else ours, and whoever rebuilds is told of it.

        ``message`` is the refusal: EMPTY, EPOCH and which, or BEHIND.
        """
        code, found = message.split()[:2]
        if code == "EPOCH" and int(found) > epoch:
            return int(found) if await self._said_late(connection, epoch, seq) else epoch
        if time.monotonic() - self._told_at > TELL_EVERY_S:
            self._told_at = time.monotonic()
            with contextlib.suppress(ConnectionError, TimeoutError, ServerRefused):  # it is told again soon
                await connection.ask("HSET", self._key, self._process, f"{epoch} {seq}")
        return epoch

    async def _said_late(self, connection: Connection, epoch: int, seq: int) -> bool:
        """Before a newer epoch is believed, it learns what we saw of the one before: it may lack the end of it."""
        try:
            told = await connection.ask("FCALL", library.function("late"), 1, self._meta, epoch, seq)
        except (ConnectionError, TimeoutError, ServerRefused):
            return False  # the next refusal brings it here again
        if told:
            log.error("the new epoch lacks what this process has seen", epoch=epoch, seq=seq)
        return True
