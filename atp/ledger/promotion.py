"""Promotion: a replica of the ledger becomes its primary, and a new epoch begins before it takes a batch (R6).

May be run again after a failure at any line, and after another hand made the replica a primary: until the epoch has
begun every process refuses the server with ``recovering``.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from msgspec import Struct

from atp.ledger import fitness, keys, library
from atp.ledger.connection import Connection, ServerRefused, connect
from atp.ledger.durability import replication
from atp.ledger.errors import LedgerUnavailable, LedgerUnfit
from atp.ledger.fitness import Durability
from atp.ledger.loading import load_library

#: Numbers left out between two epochs, after a promotion or a rebuild: more than a lost tail can have used (R2).
EPOCH_GAP = 2**20

#: How long a server may take to answer; one under load may take its time.
ANSWER_S = 5.0


class Standing(Struct, frozen=True):
    """What a server is before it is promoted."""

    replica: bool
    primary: str  # host:port it follows, "" if none
    linked: bool  # whether that primary still answers it
    heads: list[tuple[int, int]]  # per partition: epoch, seq


class Begun(Struct, frozen=True):
    """One partition's new epoch."""

    partition: int
    epoch: int
    seq: int  # of its first entry
    ended: int  # highest seq of the epoch before


class Promotion(Struct, frozen=True):
    """What was done: nothing where this server had begun the epoch before.

    With ``missing`` no epoch was begun: the state has to be rebuilt from the journal first.
    """

    begun: list[Begun]
    missing: list[tuple[int, int, int]]  # partition, its highest seq, the journal's


async def look(url: str, namespace: str, durability: Durability) -> Standing:
    """What the server is, nothing changed. Raises LedgerUnavailable; LedgerUnfit if it could not be the ledger."""
    async with _connected(url) as connection:
        await fitness.check(connection, durability, replica=True, unproven=True)
        said = await replication(connection)
        replica = said["role"] == "slave"
        primary = f"{said['master_host']}:{said['master_port']}" if replica else ""
        return Standing(replica, primary, said.get("master_link_status") == "up", await _heads(connection, namespace))


async def promote(url: str, namespace: str, journaled: Mapping[int, int]) -> Promotion:
    """Make the server the primary and begin an epoch in every partition.

    ``journaled`` is the journal's highest seq per partition: a replica that ends before it misses what the journal has,
    so it becomes the primary but begins no epoch. Raises LedgerUnavailable, LedgerUnfit.
    """
    async with _connected(url) as connection:
        await connection.ask("REPLICAOF", "NO", "ONE")
        heads = await _heads(connection, namespace)
        missing = [(p, seq, journaled[p]) for p, (_, seq) in enumerate(heads) if journaled.get(p, 0) > seq]
        if missing:
            return Promotion([], missing)
        async with _alone(connection):
            await load_library(connection)
            replid = (await replication(connection))["master_replid"]
            begun = [
                await _begin(connection, namespace, p, *head, replid)
                for p, head in enumerate(heads)
                if await connection.ask("HGET", keys.meta(namespace, p), "replid") != replid.encode()
            ]
        return Promotion(begun, [])


async def _begin(connection: Connection, namespace: str, partition: int, epoch: int, seq: int, replid: str) -> Begun:
    first = seq + EPOCH_GAP
    meta = keys.meta(namespace, partition)
    if not await connection.ask("FCALL", library.function("promote"), 1, meta, epoch, first, replid):
        raise LedgerUnavailable(f"partition {partition} was changed meanwhile; run it again")
    return Begun(partition, epoch + 1, first, seq)


async def _heads(connection: Connection, namespace: str) -> list[tuple[int, int]]:
    """Epoch and seq per partition, read plainly: the replica may not have this release's library."""
    partitions = await connection.ask("HGET", keys.meta(namespace, 0), "partitions")
    heads: list[tuple[int, int]] = []
    for partition in range(int(partitions or 0)):
        epoch, seq = await connection.ask("HMGET", keys.meta(namespace, partition), "epoch", "seq")
        heads.append((int(epoch or 0), int(seq or 0)))
    if not heads or not all(epoch for epoch, _ in heads):
        raise LedgerUnfit(f"there is no ledger of namespace {namespace} on this server")
    return heads


@asynccontextmanager
async def _alone(connection: Connection) -> AsyncIterator[None]:
    """Let the server write while it has no replica yet: nobody is answered out of that, only the epoch begins."""
    _, needed = await connection.ask("CONFIG", "GET", "min-replicas-to-write")
    await connection.ask("CONFIG", "SET", "min-replicas-to-write", 0)
    try:
        yield
    finally:
        await connection.ask("CONFIG", "SET", "min-replicas-to-write", needed)


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[Connection]:
    connection = await connect(url, ANSWER_S)
    try:
        yield connection
    except (TimeoutError, ConnectionError) as problem:
        raise LedgerUnavailable(f"the server went away: {problem or 'no answer'}") from problem
    except ServerRefused as refused:
        raise LedgerUnavailable(f"the server refuses: {refused}") from refused
    finally:
        await connection.end()
