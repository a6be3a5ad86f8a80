"""A batch that nobody was told of is torn at every offset; what is acknowledged behind it survives a second crash (F4).

Older servers keep the torn MULTI, take and sync what follows, and drop it all at the next start
(atp/ledger/fitness.py). ``FAULTS_OFFSETS`` is the step from one offset to the next.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from atp.dev.valkey import Valkey
from atp.domain.commands import PutPolicy
from atp.domain.outcomes import Outcome
from atp.ledger import Ledger, LedgerSettings
from tests.rooms.ledger.made import level, reserve

from .kinds.disk import log_of

pytestmark = [pytest.mark.anyio, pytest.mark.soak]

STEP = int(os.environ.get("FAULTS_OFFSETS", "1"))
BEFORE, TORN, UNITS = 5, 8, 1_000


async def test_every_offset(folder: Path) -> None:
    server = Valkey(folder)
    path = None
    await _apply(
        server,
        [PutPolicy("location", "DC1", "{}"), level("A", UNITS), *(reserve(f"before-{n}") for n in range(BEFORE))],
    )
    path = log_of(server)
    kept = path.stat().st_size
    await _apply(server, [reserve(f"torn-{n}") for n in range(TORN)])
    whole = path.read_bytes()
    for end in [*range(kept, len(whole), STEP), len(whole)]:
        path.write_bytes(whole[:end])
        torn = TORN if end == len(whole) else 0
        assert await _held(server) == BEFORE + torn, f"cut {len(whole) - end} bytes before the end"
        await _apply(server, [reserve(f"behind-{n}") for n in range(3)])
        assert await _held(server) == BEFORE + torn + 3, f"cut {len(whole) - end} bytes before the end"


async def _apply(server: Valkey, commands: list) -> None:
    """One batch, acknowledged."""
    async with _running(server) as ledger:
        results = await ledger.apply(commands)
        assert {result.outcome for result in results} == {Outcome.APPLIED}


async def _held(server: Valkey) -> int:
    """Units held after a start."""
    async with _running(server) as ledger:
        (stock,) = await ledger.availability(["A"])
        return stock.locations[0].balance.held


@asynccontextmanager
async def _running(server: Valkey) -> AsyncIterator[Ledger]:
    """The ledger on a server that is started for it and killed in the end."""
    server.start()
    ledger = Ledger(LedgerSettings(server.url, "torn"))
    try:
        await ledger.open({})
        yield ledger
    finally:
        server.kill()
        await ledger.close()
