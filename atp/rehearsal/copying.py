"""The copy: what the journal has of the live ledger, stored in the rehearsal's own server.

Nothing is asked of the live ledger for it: the newest baseline and the entries behind it are a consistent whole (R20),
which pages read from a ledger at work are not. PostgreSQL itself refuses a write on the connections used.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit, urlunsplit

import msgspec
from msgspec import Struct

from atp.config import Config
from atp.domain.state import State
from atp.journal import Journal
from atp.ledger import keys
from atp.ledger.connection import connect
from atp.ledger.records import decode, read
from atp.ledger.restoring import KEYS_MAX, Restoring
from atp.rebuild import Settings as RebuildSettings
from atp.rebuild import load_state, write_state
from atp.rehearsal.errors import RehearsalRefused
from atp.wiring import open_journal

#: Behind the live ledger's, so that no position of the rehearsal is one of the live ledger.
_EPOCH = 1


class Copied(Struct):
    """What was copied of one partition."""

    seq: int
    as_of: int  # ms: of the last change in it
    records: int


@asynccontextmanager
async def reading(config: Config) -> AsyncIterator[Journal]:
    """The journal, on connections that cannot write."""
    parts = urlsplit(config.database_url)
    query = "&".join(filter(None, (parts.query, "default_transaction_read_only=on")))
    url = urlunsplit(parts._replace(query=query))
    async with open_journal(msgspec.structs.replace(config, database_url=url)) as journal:
        yield journal


async def copy(journal: Journal, config: Config, url: str, namespace: str) -> list[Copied]:
    """Store every partition at ``url`` below ``namespace``. Raises JournalError, LedgerError, RehearsalRefused."""
    done = []
    for partition in range(config.partitions):
        state = await load_state(journal, partition, RebuildSettings())
        if not state.seq:
            raise RehearsalRefused(f"the journal has nothing of partition {partition}: is `atp drain` running?")
        seq, as_of = state.seq, state.last_now
        steps = Restoring(url, namespace, partition)
        try:
            await steps.begin(0)
            meta, records = await write_state(steps, state, partition, config.partitions)
            await steps.open(state.epoch + _EPOCH, seq, meta, "", accepted=False)
        finally:
            await steps.close()
        done.append(Copied(seq, as_of, records))
    return done


async def states(url: str, namespace: str, partitions: int) -> list[State]:
    """The rehearsal's ledger as it stands, while nobody works on it."""
    connection = await connect(url, 2.0)
    try:
        return [
            decode([page async for page in read(connection.ask, keys.prefix(namespace, partition))])
            for partition in range(partitions)
        ]
    finally:
        await connection.end()


async def remove(url: str, namespace: str, partitions: int) -> None:
    """Take the copy away, from a server that lives on."""
    connection = await connect(url, 2.0)
    try:
        for partition in range(partitions):
            cursor = b"0"
            while True:
                pattern = keys.prefix(namespace, partition) + "*"
                cursor, names = await connection.ask("SCAN", cursor, "MATCH", pattern, "COUNT", KEYS_MAX)
                if names:
                    await connection.ask("UNLINK", *names)
                if cursor == b"0":
                    break
    finally:
        await connection.end()
