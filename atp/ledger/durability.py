"""Level ``replica``: an answer leaves when a replica's disk has it as well, and a promotion is noticed (R6).

The wait is sent behind the reply, never together with the batch: a replica that is asked while it still writes speaks
again only a second later (research/spikes.md §5). For the same reason it is asked anew every few milliseconds.
"""

import re
import time

from atp.ledger import library
from atp.ledger.connection import Connection, ServerRefused
from atp.ledger.errors import LedgerRecovering, LedgerUnavailable
from atp.ledger.fates import Uncertain

#: How long the server waits before it is asked again; it looks at its clock ``hz`` times a second.
ASK_AGAIN_MS = 10


async def on_replica(connection: Connection, timeout_s: float) -> bool:
    """Whether all that this connection wrote is on the disks of the primary and of a replica, within ``timeout_s``.

    It speaks of this connection's own writes only. Raises TimeoutError, ConnectionError, ServerRefused.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        here, there = await connection.ask("WAITAOF", 1, 1, ASK_AGAIN_MS, timeout_s=timeout_s)
        if here >= 1 and there >= 1:
            return True
        if time.monotonic() >= deadline:
            return False


async def confirm(connection: Connection, timeout_s: float) -> None:
    """Raise Uncertain unless a replica's disk has the batch: it may be lost, and the same commands are sent again."""
    try:
        if await on_replica(connection, timeout_s):
            return
    except (TimeoutError, ConnectionError, ServerRefused) as problem:
        raise Uncertain(f"the ledger went away: {type(problem).__name__} {problem}") from problem
    raise Uncertain("no replica of the ledger confirms what it is sent")


async def recognise(connection: Connection, meta: bytes) -> None:
    """Is this server still the primary that the ledger's epoch was begun on?

    Raises LedgerUnavailable if it is a replica, LedgerRecovering if it was made primary by another hand than atp's:
    then the tail that was never confirmed may be gone, and its numbers would be used twice. Raises ServerRefused,
    TimeoutError, ConnectionError.
    """
    found = await replication(connection)
    if found["role"] != "master":
        raise LedgerUnavailable("the ledger's server is a replica and takes no writes")
    epoch, known = await connection.ask("HMGET", meta, "epoch", "replid")
    if epoch and not known:
        await connection.ask("FCALL", library.function("remember"), 1, meta, found["master_replid"])
    # A new id alone tells of a restart; one that was followed before, of a promotion.
    elif epoch and known.decode() != found["master_replid"] and found["master_replid2"].strip("0"):
        raise LedgerRecovering(
            "the ledger's server was a replica, and no epoch was begun since; fix: atp promote with its URL"
        )


async def replication(connection: Connection) -> dict[str, str]:
    """What the server says of its role, its replication id and its link."""
    info = (await connection.ask("INFO", "replication")).decode()
    return dict(re.findall(r"^(\w+):(.*?)\r?$", info, re.MULTILINE))
