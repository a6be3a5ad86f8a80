"""A stack at level ``replica``: the ledger's server has a replica, and either may become the other (R6)."""

from pathlib import Path

from atp.config import Config
from atp.dev import files, ports
from atp.dev.server import Server
from atp.dev.valkey import Valkey
from atp.ledger.connection import Connection, ServerRefused, connect
from atp.ledger.durability import on_replica
from atp.ledger.errors import LedgerUnavailable
from atp.ledger.promotion import promote
from tests.support import wait_until_async

from .stack import Stack
from .wire import Wire


class Mirror(Valkey):
    """The second server; its clients use the password of the first, so that nobody needs to be told."""

    name: str = "mirror"

    @property
    def secret(self) -> str:
        return files.secret(self.state_dir, "valkey")


class Mirrored(Stack):
    """``servers["valkey"]`` is whoever is the primary now, and the wire of that name leads to it.

    ``link`` is what the replica hears its primary through.
    """

    def __init__(self, folder: Path, ledger: type[Valkey] = Valkey) -> None:
        super().__init__(folder, config=Config(durability="replica"), ledger=ledger)
        self.follower: Server = Mirror(self.path)
        self.link = Wire(0)

    async def _start_servers(self) -> None:
        await super()._start_servers()
        await self.link.start()
        await self.start_server(self.follower)
        for server in (self.servers["valkey"], self.follower):
            await self._require_replica(server)
        await self.follow()

    async def _stop(self) -> None:
        await self.link.stop()
        await super()._stop()

    async def follow(self) -> None:
        """Make the follower the primary's replica, and wait until its disk is in step."""
        leader = self.servers["valkey"]
        await self._tell(self.follower, "CONFIG", "SET", "primaryauth", files.secret(self.path, "valkey"))
        await self._tell(self.follower, "REPLICAOF", *self.heard_at(leader))

        async def in_step() -> bool:
            try:
                connection = await connect(leader.url, 2)  # type: ignore[attr-defined]
            except LedgerUnavailable:
                return False
            try:
                await connection.ask("SET", "paired", 1)
                return await on_replica(connection, 0.5)
            except (ServerRefused, OSError, TimeoutError):  # it does not see its replica yet
                return False
            finally:
                await connection.end()

        await wait_until_async(in_step, 30, "the replica is in step")

    def heard_at(self, leader: Server) -> tuple[str, int]:
        """Where a replica finds its primary."""
        self.link.target = leader.port
        return ports.HOST, self.link.port

    def part(self) -> None:
        """Primary and replica hear nothing of each other from now on."""
        self.link.open.clear()

    def join(self) -> None:
        """Undo it."""
        self.link.reset()
        self.link.open.set()

    async def promote(self) -> None:
        """``atp promote`` on the follower; clients are led to it only by ``lead``."""
        heads = {
            row["partition"]: row["seq"] for row in await self.ask_journal("select partition, seq from watermarks")
        }
        done = await promote(self.follower.url, self.config.namespace, heads)  # type: ignore[attr-defined]
        assert not done.missing, done

    def lead(self) -> None:
        """The promoted one is the primary from now on, for every client."""
        self.servers["valkey"], self.follower = self.follower, self.servers["valkey"]
        leader = self.servers["valkey"]
        self.wires["valkey"].host, self.wires["valkey"].target = leader.host, leader.port  # type: ignore[attr-defined]
        self.wires["valkey"].reset()

    async def restart_follower(self) -> None:
        """Start the one that was killed; it is to follow."""
        await self.up(self.follower.name)
        await wait_until_async(lambda: self.follower.answers(0), 30, "the old primary answers")
        await self._require_replica(self.follower)

    async def _require_replica(self, server: Server) -> None:
        """The settings of level ``replica``, and a copy that is sent at once; a restart forgets them."""
        await self._tell(
            server, "CONFIG", "SET", "min-replicas-to-write", 1, "min-replicas-max-lag", 2, "repl-diskless-sync", "no"
        )

    async def _tell(self, server: Server, *words: str | int) -> None:
        connection: Connection = await connect(server.url, 2)  # type: ignore[attr-defined]
        try:
            await connection.ask(*words)
        finally:
            await connection.end()
