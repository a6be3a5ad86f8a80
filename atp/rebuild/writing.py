"""Writing a whole state into an empty partition, record by record; ``meta`` is left to the step that opens it."""

from collections.abc import Awaitable, Callable

from atp.domain.state import State
from atp.ledger.records import encode
from atp.ledger.restoring import Restoring

#: Hears how many records are written.
Step = Callable[[int], Awaitable[None]]


async def write_state(
    steps: Restoring, state: State, partition: int, partitions: int, step: Step | None = None
) -> tuple[list[bytes], int]:
    """What ``meta`` has to hold, and how many records there are. Raises Superseded, LedgerUnavailable."""
    meta: list[bytes] = []
    records = 0
    for page in encode(state, partition, partitions):
        if page.key == "meta":
            meta = page.items
            continue
        await steps.write(page)
        records += page.records
        if step is not None:
            await step(records)
    await steps.flush()
    return meta, records
