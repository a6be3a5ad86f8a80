"""The live ledger as a rehearsal sees it: which server it is, and where it stands. Two commands, and both only read."""

from collections import Counter
from types import TracebackType
from typing import Self

from msgspec import Struct

from atp.config import Config
from atp.ledger import LedgerUnavailable, keys
from atp.ledger.connection import Connection, ServerRefused, connect
from atp.rehearsal.errors import RehearsalRefused

_CONNECT_S, _ASK_S = 2.0, 5.0


class Identity(Struct, frozen=True):
    """What one server and its replicas have in common, whatever address they are reached by."""

    run_id: str
    replication: str


class Live:
    """``async with``; ``asked`` counts what was sent, so that a report can show it."""

    def __init__(self, config: Config) -> None:
        self.asked: Counter[str] = Counter()
        self._config = config
        self._connection: Connection | None = None

    async def __aenter__(self) -> Self:
        self._connection = await connect(self._config.redis_url, _CONNECT_S)
        return self

    async def __aexit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        assert self._connection
        await self._connection.end()

    async def refuse(self, url: str) -> None:
        """Raise RehearsalRefused if ``url`` leads to this server, by whatever name, or to a replica of it."""
        assert self._connection
        self.asked["INFO"] += 2
        mine = await identity(self._connection)
        other = await connect(url, _CONNECT_S)
        try:
            theirs = await identity(other)
        finally:
            await other.end()
        if mine.run_id == theirs.run_id or mine.replication == theirs.replication:
            raise RehearsalRefused(
                "ATP_REHEARSAL_REDIS_URL is the live ledger's own server, or a replica of it: a rehearsal would take "
                "its one thread. Give it another server, or none for an embedded one"
            )

    async def heads(self) -> list[tuple[int, int]]:
        """(epoch, seq) of every partition. Raises RehearsalRefused where there is no ledger."""
        assert self._connection
        found = []
        for partition in range(self._config.partitions):
            self.asked["HMGET"] += 1
            meta = keys.meta(self._config.namespace, partition)
            try:
                epoch, seq = await self._connection.ask("HMGET", meta, "epoch", "seq", timeout_s=_ASK_S)
            except (TimeoutError, ConnectionError, ServerRefused) as problem:
                raise LedgerUnavailable(f"the ledger does not answer: {problem or 'timeout'}") from problem
            if seq is None:
                raise RehearsalRefused(f"no ledger in namespace {self._config.namespace}, partition {partition}")
            found.append((int(epoch), int(seq)))
        return found


async def identity(connection: Connection) -> Identity:
    """Of the server behind a connection. Raises RehearsalRefused when it does not say."""
    try:
        text = b"".join([await connection.ask("INFO", part, timeout_s=_ASK_S) for part in ("server", "replication")])
    except ServerRefused as problem:
        raise RehearsalRefused(f"a server does not say which one it is: {problem}") from problem
    except (TimeoutError, ConnectionError) as problem:
        raise LedgerUnavailable(f"a ledger's server does not answer: {problem or 'timeout'}") from problem
    told = dict(line.split(":", 1) for line in text.decode().splitlines() if ":" in line)
    if not told.get("run_id") or not told.get("master_replid"):
        raise RehearsalRefused("a server does not say which one it is: INFO has no run_id or master_replid")
    return Identity(told["run_id"], told["master_replid"])
