"""Bringing the function library to a server."""

import structlog

from atp.ledger import library
from atp.ledger.connection import Connection

log = structlog.get_logger("atp.ledger")


async def load_library(connection: Connection) -> None:
    """Load this release's functions unless the server has them; harmless if another process does the same.

    The library's name is a digest of its code. One of that name with other code was put there by hand: it is
    replaced, and the log says so. Raises ServerRefused, TimeoutError, ConnectionError.
    """
    name, source = library.source()
    found = await connection.ask("FUNCTION", "LIST", "LIBRARYNAME", name, "WITHCODE")
    if found:
        if _code(found[0]) == source.encode():
            return
        log.error("the ledger's library has other code than its name says; loaded anew", library=name)
    await connection.ask("FUNCTION", "LOAD", "REPLACE", source)


def _code(listed: list) -> bytes:
    """The code of one listed library: names and values alternate."""
    return dict(zip(listed[::2], listed[1::2], strict=True))[b"library_code"]
