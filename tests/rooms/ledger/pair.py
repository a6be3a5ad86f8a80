"""A primary and its replica, both real, with a wire between them that may be frozen."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from atp.dev.valkey import Valkey
from atp.ledger.connection import Connection, ServerRefused
from atp.ledger.durability import on_replica
from tests.support import connected, wait_until_async
from tests.wires import Wire, wire_to


class Pair:
    """Two servers with the settings of level ``replica``; ``wire`` is what the replica hears its primary through."""

    def __init__(self, primary: Valkey, replica: Valkey, wire: Wire) -> None:
        self.primary, self.replica, self.wire = primary, replica, wire

    async def follow(self, follower: Valkey, leader: Valkey, port: int = 0) -> None:
        """Make one server the replica of another and wait until its disk is in step: it writes its file anew first."""
        await ask(follower, "CONFIG", "SET", "primaryauth", leader.secret)
        await ask(follower, "REPLICAOF", "127.0.0.1", port or leader.port)

        connection = await connected(leader.url)

        async def in_step() -> bool:
            try:
                await connection.ask("SET", "paired", 1)
            except ServerRefused:  # it does not see its replica yet
                return False
            return await on_replica(connection, 5)

        await wait_until_async(in_step, 10, "the replica is in step")
        await connection.end()


@asynccontextmanager
async def paired(folder: Path) -> AsyncIterator[Pair]:
    """A pair in step, with one password, ended whatever becomes of it."""
    with Valkey(folder / "primary") as primary:
        (folder / "replica").mkdir()
        shutil.copy2(folder / "primary" / "secrets.json", folder / "replica")
        with Valkey(folder / "replica") as replica:
            async with _in_step(primary, replica) as pair:
                yield pair


@asynccontextmanager
async def _in_step(primary: Valkey, replica: Valkey) -> AsyncIterator[Pair]:
    try:
        async with wire_to(primary.port) as wire:
            pair = Pair(primary, replica, wire)
            for server in (primary, replica):
                await require_replica(server)
            await pair.follow(replica, primary, wire.port)
            yield pair
    finally:
        for server in (primary, replica):
            server.kill()  # told to end, a primary waits for its replica


async def require_replica(server: Valkey) -> None:
    """The settings of level ``replica``, and a copy that is sent at once; a restart forgets them."""
    await ask(
        server, "CONFIG", "SET", "min-replicas-to-write", 1, "min-replicas-max-lag", 2, "repl-diskless-sync", "no"
    )


async def ask(server: Valkey, *words: str | int):
    """One command on a connection of its own."""
    connection: Connection = await connected(server.url)
    try:
        return await connection.ask(*words)
    finally:
        await connection.end()
