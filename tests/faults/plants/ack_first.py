"""An ingestion that takes a message for settled before the ledger has answered: what is under way then may be lost."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from atp.domain.commands import Cursor
from atp.ingest.applying import Applier, Item
from atp.ledger import LedgerError


def plant(argument: str) -> None:
    """Nobody waits for the answer, and nobody learns that there was none."""
    under_way: set[asyncio.Task[None]] = set()

    async def acknowledge_first(self: Applier, cursor: Cursor | None, items: Sequence[Item]) -> None:
        commands = [command for item in items for command in item.commands]

        async def apply() -> None:
            with suppress(LedgerError):
                await self._ledger.apply([cursor, *commands] if cursor else commands)

        task = asyncio.create_task(apply())
        under_way.add(task)
        task.add_done_callback(under_way.discard)

    Applier.apply = acknowledge_first  # type: ignore[method-assign]
