"""A client that sends a call again by itself when no answer comes, as common libraries do."""

from atp.ledger import batcher
from atp.ledger.connection import Connection, connect

_TIMES = 3


def plant(argument: str) -> None:
    """Up to three times, on a new connection, under the same session."""
    ask, urls = Connection.ask, {}

    async def remember(url: str) -> Connection:
        connection = await connect(url)
        urls[connection] = url
        return connection

    async def ask_again(self: Connection, *words: bytes | str | int, timeout_s: float = 5.0) -> object:
        connection = self
        for _ in range(_TIMES):
            try:
                return await ask(connection, *words, timeout_s=timeout_s)
            except (TimeoutError, ConnectionError):
                if self not in urls:
                    raise
                connection = await connect(urls[self])
        return await ask(connection, *words, timeout_s=timeout_s)

    batcher.connect = remember  # type: ignore[assignment]
    Connection.ask = ask_again  # type: ignore[method-assign]
