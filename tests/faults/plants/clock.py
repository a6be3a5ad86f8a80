"""Another time than the ledger's machine has."""

import time
from types import SimpleNamespace

from atp.ledger import batcher


def plant(argument: str) -> None:
    """This process's clock is so many seconds ahead."""
    ahead = float(argument)
    batcher.time = SimpleNamespace(time=lambda: time.time() + ahead, monotonic=time.monotonic)  # type: ignore[assignment]
