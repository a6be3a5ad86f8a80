"""Ledgers of their own for every test, closed whatever becomes of it, and a server that may be hurt."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from atp.dev.valkey import Valkey
from atp.domain.commands import PutPolicy
from atp.ledger import Ledger, LedgerSettings
from tests.support import patient_ledger

Opening = Callable[[LedgerSettings], Awaitable[Ledger]]


@pytest.fixture
async def open_ledger() -> AsyncIterator[Opening]:
    """Open an empty ledger that knows one location, DC1."""
    opened: list[Ledger] = []

    async def opening(settings: LedgerSettings) -> Ledger:
        ledger = Ledger(settings)
        opened.append(ledger)
        await ledger.open({})
        await ledger.put_policy(PutPolicy("location", "DC1", '{"kind":"warehouse"}'))
        return ledger

    yield opening
    for ledger in opened:
        await ledger.close()


@pytest.fixture
async def ledger(open_ledger: Opening, valkey: str, namespace: str) -> Ledger:
    return await open_ledger(patient_ledger(valkey, namespace))


@pytest.fixture
def own_valkey(tmp_path: Path) -> Iterator[Valkey]:
    """A server that the test may stop, kill or reconfigure."""
    with Valkey(tmp_path) as server:
        yield server
