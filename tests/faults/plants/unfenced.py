"""Drainers that all believe the partition is theirs."""

from atp.journal import journal
from atp.outbox.drainer import Drainer


def plant(argument: str) -> None:
    """Nobody is fenced, nobody waits for the lease, and the watermark goes where the last one puts it."""
    fence = "partition = $1 and fence = $2 and seq = $3"
    assert journal._SQL["advance"].count(fence) == 1
    journal._SQL["advance"] = journal._SQL["advance"].replace(
        fence, "partition = $1 and $2::bigint > 0 and $3::bigint >= 0"
    )
    raised = "set fence = watermarks.fence + 1, "
    assert journal._SQL["claim"].count(raised) == 1
    journal._SQL["claim"] = journal._SQL["claim"].replace(raised, "set ")

    async def held(self: Drainer) -> bool:
        return True

    Drainer._holds_lease = held  # type: ignore[method-assign]
