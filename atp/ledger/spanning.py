"""Where there are several partitions: which commands concern more than one of them, and what is done about it.

A basket within one partition costs one look at its skus more than it would alone; whatever spans partitions is
coordinated by ``baskets`` and followed up by ``following`` (R3, docs/adr/0004).
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from msgspec import structs

from atp.domain.commands import CHANGES, Command, Confirm, Cursor, Heartbeat, Reserve, TellOrder, Transfer
from atp.domain.ids import partition_of
from atp.domain.outcomes import Outcome
from atp.domain.records import Reservation
from atp.domain.results import Result
from atp.ledger import wire
from atp.ledger.answers import Answers
from atp.ledger.baskets import Baskets, divide
from atp.ledger.batcher import Batcher
from atp.ledger.errors import CrossPartition
from atp.ledger.following import Following
from atp.ledger.reader import Reader
from atp.ledger.routing import partition_for
from atp.ledger.telling import Telling

#: What may concern more than one partition, or none.
_COORDINATED = frozenset((Reserve, TellOrder, *CHANGES))


class Spanning:
    """Submits commands to the partitions of one ledger."""

    def __init__(self, batchers: Sequence[Batcher], readers: Sequence[Reader]) -> None:
        self.following = Following(self._ask, readers)
        self.baskets = Baskets(self._ask, self.following)
        self._telling = Telling(self._ask, readers)
        self._batchers = batchers
        self._readers = readers
        self._coordinating: set[asyncio.Task[Result]] = set()

    def submit(self, command: Command) -> asyncio.Future[Result]:
        """One command, to its home and to other partitions where it concerns them. Raises as ``Ledger.submit``."""
        partition = partition_for(command, len(self._batchers))
        if partition is None:
            future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
            future.set_result(Result(Outcome.NOT_FOUND))
            return future
        if len(self._batchers) == 1:
            return self._batchers[0].submit(command)
        if isinstance(command, Reserve) and self._spans(command):
            return self._coordinate(self.baskets.reserve(divide(command, len(self._batchers))))
        if isinstance(command, TellOrder):
            return self._coordinate(self._telling.tell(command))
        if isinstance(command, Transfer):
            return self._coordinate(self._transfer(partition, command))
        if isinstance(command, Confirm) and command.record and self.following.spans(command.record[0]):
            command = structs.replace(command, record=[])  # it cannot be taken again in one step: expired it stays
        future = self._batchers[partition].submit(command)
        if isinstance(command, CHANGES):
            future.add_done_callback(self._changed)
        elif isinstance(command, Reserve) and command.replaces:
            future.add_done_callback(lambda _: self.following.notice_replaced(command.replaces))
        return future

    async def apply(
        self, commands: Sequence[Command], everywhere: Callable[[Sequence[Command]], Sequence[Command]]
    ) -> list[Result]:
        """Many commands, in order, and what goes to all partitions because of them. Raises as ``Ledger.apply``."""
        answers, copies = Answers(), Answers()
        try:
            for command in commands:
                self._queue(command, answers)
                if isinstance(command, Cursor | Heartbeat):
                    for batcher in self._batchers[1:]:
                        batcher.queue(command, copies)
            for command in everywhere(commands):
                for batcher in self._batchers:
                    batcher.queue(command, copies)
        finally:
            await answers.settled()
            await copies.settled()
        copies.results()
        return answers.results()

    def _queue(self, command: Command, answers: Answers) -> None:
        if type(command) in _COORDINATED:
            self.submit(command).add_done_callback(answers.place().follow)
        else:
            self._batchers[partition_for(command, len(self._batchers)) or 0].queue(command, answers)

    async def close(self) -> None:
        """Finish what is under way."""
        await asyncio.gather(*self._coordinating, return_exceptions=True)
        await self.following.close()

    def _spans(self, command: Reserve) -> bool:
        return len({partition_of(line.sku, len(self._batchers)) for line in command.lines}) > 1

    async def _ask(self, partition: int, command: Command, deadline: float = 0.0) -> Result:
        return await self._batchers[partition].submit(command, deadline)

    def _coordinate(self, work: Coroutine[Any, Any, Result]) -> asyncio.Future[Result]:
        """Run to its end whatever the caller does; cancelling the future abandons only the answer."""
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(work)
        self._coordinating.add(task)

        def done(task: asyncio.Task[Result]) -> None:
            self._coordinating.discard(task)
            problem = asyncio.CancelledError() if task.cancelled() else task.exception()
            if future.done():
                return
            if problem is not None:
                future.set_exception(problem)
            else:
                future.set_result(task.result())

        task.add_done_callback(done)
        return future

    async def _transfer(self, partition: int, command: Transfer) -> Result:
        """A transfer of a line that lives at home; its target elsewhere could not be taken in the same step."""
        found: Reservation | None = (await self._readers[partition].ask(wire.ask_reservation(command.id)))[0]
        for line in found.lines if found else ():
            if line.line_id == command.line_id and partition_of(line.sku, len(self._batchers)) != partition:
                raise CrossPartition("the line lives in another partition than its reservation")
        result = await self._batchers[partition].submit(command)
        if result.reservation is not None and result.outcome is Outcome.APPLIED:
            self.following.notice(result.reservation)
        return result

    def _changed(self, future: asyncio.Future[Result]) -> None:
        """Legs of a record that this process changed hear of it at once."""
        if not future.cancelled() and future.exception() is None:
            result = future.result()
            if result.outcome is Outcome.APPLIED and result.reservation is not None:
                self.following.notice(result.reservation)
