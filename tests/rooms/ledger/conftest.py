"""A ledger of its own for every test, with one location."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from atp.dev.valkey import Valkey
from atp.ledger import Ledger, LedgerSettings

from .made import open_ledger


@pytest.fixture
async def ledger(valkey: str, namespace: str) -> AsyncIterator[Ledger]:
    ledger = await open_ledger(LedgerSettings(valkey, namespace))
    yield ledger
    await ledger.close()


@pytest.fixture
def own_valkey(tmp_path: Path) -> Iterator[Valkey]:
    """A server that the test may stop, kill or reconfigure."""
    with Valkey(tmp_path) as server:
        yield server
