"""What is known of snapshots, which the first partition keeps, and the positions of every partition that they zero."""

from collections.abc import Sequence

from atp.domain.state import Snapshot, Sweep
from atp.ledger import wire
from atp.ledger.batcher import Batcher
from atp.ledger.reader import Reader
from atp.ledger.wire import Unnamed

#: Positions looked at in one call: a few milliseconds of the server's one thread at most.
PAGE_MAX = 500


class Snapshots:
    """Reads beside the ledger's commands; every one may raise LedgerUnavailable or LedgerRecovering."""

    def __init__(self, batchers: Sequence[Batcher], readers: Sequence[Reader]) -> None:
        self._batchers = batchers
        self._readers = readers

    async def last(self, source: str) -> Snapshot | None:
        """The last snapshot of a source, without the digests of its parts."""
        (found,) = await self._readers[0].ask(wire.ask_snapshot(source))
        if found is None:
            return None
        return Snapshot(
            found.id, found.seq, found.version_kind, found.version, found.parts, found.full, found.locations,
            found.as_of, found.since, found.state, found.overdue, found.arrived, found.over,
        )  # fmt: skip

    async def sweeps(self) -> tuple[dict[int, Sweep], int]:
        """What is left to do for complete full snapshots, by seq; and when an incomplete one is to be told of, or 0."""
        ((found, overdue_at),) = await self._readers[0].ask(wire.ask_sweeps())
        sweeps = {
            seq: Sweep(s.source, s.snapshot, s.version_kind, s.version, s.locations, s.as_of, s.state, s.counts)
            for seq, s in found
        }
        return sweeps, overdue_at

    async def parked(self, source: str, snapshot: str) -> int:
        """The seq of the source's snapshot of this id if it waits for a person, or 0."""
        sweeps, _ = await self.sweeps()
        asked = source, snapshot, "parked"
        return next((seq for seq, s in sweeps.items() if (s.source, s.snapshot, s.state) == asked), 0)

    async def unnamed(self, partition: int, sweep: Sweep, cursor: str, limit: int = PAGE_MAX) -> Unnamed:
        """A page of one partition's positions that the snapshot may not name; ``cursor`` is "0" for the first.

        A position that is there all the time is on some page, perhaps on two.
        """
        asked = wire.ask_unnamed(cursor, limit, sweep.source, sweep.locations, sweep.version)
        return (await self._readers[partition].ask(asked))[0]

    def wake(self) -> None:
        """Let the first partition look at its clock, as it does with every batch."""
        self._batchers[0].tick()
