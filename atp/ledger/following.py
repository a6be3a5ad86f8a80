"""Legs follow home: what a basket's record became is driven to its legs, and what a coordinator left is ended (R3).

Home keeps durable lists of both, written in the same step as the change, so any process may do this work, together
with others or after one that died: every command is idempotent, and an older word of home changes nothing.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

from atp.domain.commands import Abort, Command, DropLeg, Followed, FollowHome
from atp.domain.ids import partition_of, reservation_partition
from atp.domain.outcomes import Outcome
from atp.domain.records import Line, Reservation
from atp.domain.results import Result
from atp.ledger import wire
from atp.ledger.errors import LedgerError
from atp.ledger.reader import Reader
from atp.telemetry import BASKETS_RESOLVED, LEGS_BEHIND

#: Submit one command to a partition, with a deadline in loop time or 0.0 for the default.
Ask = Callable[[int, Command, float], Awaitable[Result]]

#: Undecided baskets and legs, and records to follow, that one look at a partition takes on.
UNDECIDED_MAX = 128
FOLLOWING_MAX = 256


class Following:
    """Drives legs after their records: at once for changes of this process, by ``sweep`` for all others."""

    def __init__(self, ask: Ask, readers: Sequence[Reader]) -> None:
        self.ask = ask
        self._readers = readers
        self._partitions = len(readers)
        self._tasks: set[asyncio.Task] = set()

    def notice(self, record: Reservation) -> None:
        """A record of this home changed: if it spans partitions, its legs hear of it now, behind the answer."""
        if self.spans(record):
            self._begin(self.follow(record))

    def spans(self, record: Reservation) -> bool:
        """Whether its lines live in several partitions."""
        return len(record.lines) > 1 and len(self._by_partition(record.lines)) > 1

    def notice_replaced(self, id: str) -> None:
        """The same for a record that another one replaced, which no answer has told of."""
        self._begin(self._follow_id(id))

    async def follow(self, record: Reservation) -> None:
        """Tell every leg what the record says; home is told when all have it. Raises LedgerError."""
        home = reservation_partition(record.id, self._partitions)
        assert home is not None, "ids of stored reservations are well-formed"
        legs = {p: lines for p, lines in self._by_partition(record.lines).items() if p != home}
        await asyncio.gather(*(self.ask(p, FollowHome(record.id, record.seq, lines), 0.0) for p, lines in legs.items()))
        await self.ask(home, Followed(record.id, record.seq), 0.0)

    async def sweep(self) -> None:
        """Resolve what was left undecided for too long, and drive what is behind. Raises LedgerError."""
        looks = await asyncio.gather(
            *(r.ask(wire.ask_undecided(UNDECIDED_MAX), wire.ask_following(FOLLOWING_MAX)) for r in self._readers)
        )
        LEGS_BEHIND.set(sum(len(following) for _, following in looks))
        for partition, (undecided, following) in enumerate(looks):
            await asyncio.gather(*(self._resolve(partition, *found) for found in undecided))
            if following:
                reader = self._readers[partition]
                records = await reader.ask(*(wire.ask_reservation(id) for id, _ in following))
                await asyncio.gather(*(self.follow(record) for record in records if record is not None))

    async def close(self) -> None:
        """Finish what is under way."""
        while self._tasks:
            await asyncio.gather(*self._tasks)

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(_quietly(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _follow_id(self, id: str) -> None:
        home = reservation_partition(id, self._partitions)
        record = None if home is None else (await self._readers[home].ask(wire.ask_reservation(id)))[0]
        if record is not None:
            self.notice(record)

    async def _resolve(self, partition: int, id: str, leg_attempt: int, basket_attempt: int) -> None:
        """End an attempt nobody ended: home says *aborted* first, unless it has decided; then the leg obeys."""
        home = reservation_partition(id, self._partitions)
        if home is None:
            return
        for attempt in {leg_attempt, basket_attempt} - {0}:
            told = await self.ask(home, Abort(id, 0, attempt), 0.0)
            if told.outcome is Outcome.APPLIED:
                BASKETS_RESOLVED.inc()
            if attempt != leg_attempt:
                continue
            if told.reservation is not None and partition != home:
                lines = self._by_partition(told.reservation.lines).get(partition, [])
                await self.ask(partition, FollowHome(id, told.reservation.seq, lines), 0.0)
            else:
                await self.ask(partition, DropLeg(id, leg_attempt), 0.0)

    def _by_partition(self, lines: Sequence[Line]) -> dict[int, list[Line]]:
        found: dict[int, list[Line]] = {}
        for line in lines:
            found.setdefault(partition_of(line.sku, self._partitions), []).append(line)
        return found


async def _quietly(work: Coroutine[Any, Any, None]) -> None:
    with contextlib.suppress(LedgerError):  # the list at home still has it
        await work
