"""Natural batching: whatever arrives while one call is under way forms the next one (DESIGN §3).

One batcher owns one partition's connection and is the only writer on it. Requests never touch the socket: a cancelled
caller only abandons its future, the call itself runs to its end. When a call's fate is unknown the session is raised
and the same commands are sent again: the ledger refuses the old batch whole should it still arrive, and answers a
repeated command from its record, so that nothing is ever applied twice (R5).

A server whose memory is full refuses the batch before it runs. What ends or moves units then goes through the library's
other entry point, which may run all the same and takes nothing new; the rest is refused. Every batch tries the usual
one first, so service returns by itself when there is memory again (R26).
"""

import asyncio
import random
import time
from collections import deque

import structlog

from atp.domain.commands import RELIEVING, Command, OpenBasket, Reserve
from atp.domain.outcomes import Outcome
from atp.domain.results import Result
from atp.ledger import keys, library
from atp.ledger.answers import Answers, Place
from atp.ledger.connection import Connection, ServerRefused, connect
from atp.ledger.durability import confirm, recognise
from atp.ledger.errors import (
    LedgerBusy,
    LedgerError,
    LedgerRecovering,
    LedgerUnavailable,
    OutcomeUnknown,
)
from atp.ledger.fates import NOT_YET, REFUSED, Content, Full, NotApplied, Resend, Uncertain
from atp.ledger.fitness import Durability
from atp.ledger.hints import Hints
from atp.ledger.limits import Limits
from atp.ledger.loading import load_library
from atp.ledger.pace import Pace
from atp.ledger.pending import Pending, expire, fail, refuse_contended, refuse_late
from atp.ledger.watermark import Watermark
from atp.ledger.weights import weight
from atp.ledger.wire import Header, Reply, WireCorrupt, decode_reply, encode_commands, encode_header
from atp.ledger.witness import Witness
from atp.telemetry import BATCH_COMMANDS, BATCH_SECONDS, LEDGER_ERRORS, REPLIES_MISMATCHED, series

log = structlog.get_logger("atp.ledger")

#: Longest pause before a contended command is sent again (R3).
CONTENDED_PAUSE_S = 0.03


class Batcher:
    """The queue and the writer of one partition."""

    def __init__(
        self,
        url: str,
        namespace: str,
        partition: int,
        process: str,
        limits: Limits,
        durability: Durability = "fsync",
        watermark: Watermark | None = None,
    ) -> None:
        self.partition = partition
        self.limits = limits
        self.epoch = self.seq = self.policy_version = self.next_due = self.unjournaled = 0
        self.clock_offset_ms = 0.0
        self.replied_at = self.asked_at = 0.0  # monotonic times of the last reply and call
        self.batches = self.commands = 0  # totals, for metrics
        self._url = url
        self._meta = keys.meta(namespace, partition)
        self._process = process
        self._durability = durability
        self._hints = Hints()
        self._pace = Pace(limits.script_us, limits.lines_max)
        self._watermark = watermark  # at level journal: answers wait for it
        self._witness = Witness(namespace, partition, process)
        self._session, self._batch = 1, 0
        self._queue: deque[Pending] = deque()
        self._arrived = asyncio.Event()
        self._tick = self._closing = False
        self._pausing = 0  # contended commands that wait to be sent again
        self.away: LedgerError | None = None  # why newcomers are refused until the ledger answers again
        self._connection: Connection | None = None
        self._task: asyncio.Task | None = None

    # -- for callers -------------------------------------------------------------------------------------------------

    def start(self, epoch: int, seq: int, recovering: LedgerRecovering | None = None) -> None:
        """Begin to serve a partition whose head is known, or that is to be rebuilt first."""
        self.epoch, self.seq, self.away = epoch, seq, recovering
        self._task = asyncio.create_task(self._run(), name=f"batcher-{self.partition}")

    def submit(self, command: Command, deadline: float = 0.0) -> asyncio.Future[Result]:
        """Queue one command, with a ``deadline`` in loop time unless the default is meant.

        Raises LedgerBusy, LedgerUnavailable or LedgerRecovering at once: nothing was sent.
        """
        self._check(command)
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._append(command, future, deadline)
        return future

    def queue(self, command: Command, answers: Answers) -> None:
        """As ``submit``, for one of many commands whose answers are waited for together."""
        self._check(command)
        self._append(command, answers.place())

    def tick(self) -> None:
        """Send a batch even if it is empty, so that due holds are settled."""
        self._tick = True
        self._arrived.set()

    @property
    def recovering(self) -> bool:
        """Whether the ledger is not the one that this process knows: it waits for a newer epoch (R2)."""
        return isinstance(self.away, LedgerRecovering)

    @property
    def load(self) -> float:
        """How full the queue is, 0…1."""
        return len(self._queue) / self.limits.queue_max

    async def close(self) -> None:
        """Finish what is queued, within its deadlines, then end."""
        self._closing = True
        self._arrived.set()
        if self._task is not None:
            await self._task
        if self._watermark is not None:
            await self._watermark.close()
        if self._connection is not None:
            await self._connection.end()

    def _check(self, command: Command) -> None:
        """Refuse what would wait in vain. The outbox is the gauge of a journal that is away: its last fifth is for
        what ends holds (R19)."""
        if self.away is not None:
            raise type(self.away)(str(self.away))
        if self._closing:
            raise LedgerUnavailable("this process is stopping")
        if len(self._queue) >= self.limits.queue_max:
            raise LedgerBusy(f"{len(self._queue)} commands are waiting")
        fill = self.unjournaled / self.limits.outbox_max
        if fill >= 1 or (fill >= 0.8 and isinstance(command, Reserve | OpenBasket)):
            raise LedgerUnavailable(f"{self.unjournaled} entries wait for the journal")
        if self._watermark is not None:
            self._watermark.require()

    def _append(self, command: Command, answer: asyncio.Future[Result] | Place, deadline: float = 0.0) -> None:
        deadline = deadline or asyncio.get_running_loop().time() + self.limits.command_deadline_s
        self._queue.append(Pending(command, answer, deadline, weight(command)))
        self._arrived.set()

    # -- the loop ----------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        while self._queue or self._pausing or not self._closing:
            if not self._queue and not self._tick and self.away is None:
                self._arrived.clear()
                await self._arrived.wait()
                continue
            self._tick = False
            await self._apply(self._take())

    def _take(self) -> list[Pending]:
        """The next batch: the oldest commands within the bounds; one whose deadline passed unsent is refused."""
        now = asyncio.get_running_loop().time()
        taken: list[Pending] = []
        lines, lines_max, frees = 0.0, self._pace.lines, False
        self._hints.forget_due(self.next_due, time.time() * 1000 + self.clock_offset_ms)
        while self._queue and len(taken) < self.limits.commands_max:
            pending = self._queue[0]
            self._hints.stand_in(pending, behind_what_frees=frees)
            lines += pending.weight
            if taken and lines > lines_max:
                break
            self._queue.popleft()
            if pending.future.done():
                continue
            if pending.deadline < now:
                refuse_late(pending)
                continue
            taken.append(pending)
            frees = frees or self._hints.may_free(pending.command)
        return taken

    async def _apply(self, batch: list[Pending], *, sent: bool = False) -> None:
        """Send one batch until its fate is known, or its callers' time is up; ``sent``: it may have run before."""
        full = False
        while True:
            try:
                reply = await self._call(batch, "apply_relief" if full else "apply")
            except Uncertain as problem:
                sent = True
                series(LEDGER_ERRORS, OutcomeUnknown.__name__).inc()
                self._session += 1  # an older batch that still arrives is refused whole
                self._drop_connection()
                batch = expire(batch, OutcomeUnknown(str(problem)))
                self._go_away(LedgerUnavailable(str(problem)))
            except Resend:
                continue
            except Full as problem:
                refused = [p for p in batch if full or not isinstance(p.command, RELIEVING)]
                fail(refused, OutcomeUnknown(str(problem)) if sent else LedgerUnavailable(str(problem)))
                if full:
                    return
                full, batch = True, [p for p in batch if isinstance(p.command, RELIEVING)]
            except NotApplied as problem:
                again = OutcomeUnknown if sent else LedgerUnavailable
                batch = expire(batch, again(str(problem)))
                self._go_away(LedgerUnavailable(str(problem)))
                await asyncio.sleep(self.limits.reconnect_s)
            except Content as problem:
                await self._halve(batch, problem, sent=sent)
                return
            except LedgerError as problem:
                fail(batch, OutcomeUnknown(str(problem)) if sent else problem)  # an earlier sending may have run
                self._go_away(problem)
                self._drop_connection()
                await asyncio.sleep(self.limits.reconnect_s)
                return
            else:
                self._learn(reply)
                self._pace.learn(sum(p.weight for p in batch), reply.spent_us)
                self._resolve(batch, reply)
                return
            if self._closing and not batch:
                return

    async def _call(self, batch: list[Pending], function: str) -> Reply:
        connection = await self._connected()
        self._batch += 1
        header = Header(
            self._batch, self._process, self._session, self.epoch, self.seq, int(time.time() * 1000),
            settle_max=min(self.limits.settle_max, self._pace.lines),
        )  # fmt: skip
        self.asked_at = started = time.monotonic()
        try:
            commands = encode_commands([p.command for p in batch])
        except (TypeError, ValueError, OverflowError) as problem:
            raise Content(f"it cannot be written: {problem}") from problem
        words = (b"FCALL", library.function(function), b"1", self._meta, encode_header(header), commands)
        try:
            data = await connection.ask(*words, timeout_s=self.limits.batch_timeout_s)
            reply = decode_reply(data)
        except ServerRefused as refused:
            raise await self._refusal(connection, str(refused)) from refused
        except (TimeoutError, ConnectionError, WireCorrupt) as problem:
            raise Uncertain(f"no answer from the ledger: {type(problem).__name__} {problem}") from problem
        if reply.batch != self._batch or len(reply.results) != len(batch):
            REPLIES_MISMATCHED.inc()
            log.error("reply belongs to another batch; connection closed", expected=self._batch, got=reply.batch)
            raise Uncertain("the ledger's reply belongs to another batch")
        if self._durability == "replica":
            await confirm(connection, self.limits.batch_timeout_s)
        BATCH_SECONDS.observe(time.monotonic() - started)
        BATCH_COMMANDS.observe(len(batch))
        return reply

    async def _connected(self) -> Connection:
        if self._connection is None or self._connection.closed:
            self._connection = None
            try:
                connection = await connect(self._url)
            except LedgerUnavailable as problem:
                raise NotApplied(str(problem)) from problem
            if self._durability == "replica":
                await self._recognise(connection)
            self._connection = connection
        return self._connection

    async def _recognise(self, connection: Connection) -> None:
        known = False
        try:
            await recognise(connection, self._meta)
            known = True
        except (TimeoutError, ConnectionError) as problem:
            raise NotApplied(f"the ledger does not answer: {problem or 'timeout'}") from problem
        except ServerRefused as refused:
            raise await self._refusal(connection, str(refused)) from refused
        finally:
            if not known:
                connection.close()

    async def _refusal(self, connection: Connection, message: str) -> Exception:
        """What an error reply means; every one of these was given before anything ran."""
        code = message.split(" ", 1)[0]
        if "Function not found" in message:
            return await self._reload(connection)
        if code == "FENCED":
            self._session = int(message.split()[1]) + 1
            return Resend()
        if code in NOT_YET:
            return NotApplied(message)
        if code in ("EMPTY", "EPOCH", "BEHIND"):
            self.epoch = await self._witness.refused(connection, message, self.epoch, self.seq)
            return LedgerRecovering(f"the ledger is not the one this process knows: {message}")
        if code == "OOM":
            return Full("the ledger refuses writes that need memory: it is full")
        if code in REFUSED:
            return LedgerUnavailable(f"the ledger refuses writes: {message}")
        return Content(message)

    async def _reload(self, connection: Connection) -> Exception:
        try:
            await load_library(connection)
        except (TimeoutError, ConnectionError) as problem:
            return NotApplied(f"the ledger does not answer: {problem or 'timeout'}")
        except ServerRefused as refused:
            return LedgerUnavailable(f"the ledger refuses its library: {refused}")
        return Resend()

    async def _halve(self, batch: list[Pending], problem: Content, *, sent: bool) -> None:
        """A batch fails by something in it: halve it until the command stands alone (R16)."""
        if len(batch) <= 1:
            log.error("the ledger's script failed", error=str(problem), command=repr(batch[0].command) if batch else "")
            series(LEDGER_ERRORS, LedgerError.__name__).inc()
            why = f"the ledger could not decide this command: {problem}"
            fail(batch, OutcomeUnknown(why) if sent else LedgerError(why))
            return
        middle = len(batch) // 2
        await self._apply(batch[:middle], sent=sent)
        await self._apply(batch[middle:], sent=sent)

    def _learn(self, reply: Reply) -> None:
        self.batches += 1
        self.commands += len(reply.results)
        self.seq = max(self.seq, reply.seq)
        self.policy_version, self.next_due = reply.policy_version, reply.next_due
        self._hints.follow(reply.policy_version)
        self.unjournaled = reply.unjournaled
        self.clock_offset_ms = reply.now - time.time() * 1000
        self.replied_at = time.monotonic()
        if reply.due_left:
            self.tick()
        if self.away is not None:
            log.info("the ledger answers again", partition=self.partition)
            self.away = None

    def _resolve(self, batch: list[Pending], reply: Reply) -> None:
        again: list[Pending] = []
        waiting: list[tuple[Pending, Result]] = []
        for pending, told in zip(batch, reply.results, strict=True):
            self._hints.learn(pending.command, told, self.asked_at)
            result = self._hints.answer(pending, told)
            if result is None or result.outcome is Outcome.AGAIN:
                again.append(pending)
            elif result.outcome is Outcome.CONTENDED:
                self._pause(pending, result)
            elif result.outcome is Outcome.NO_ROOM:
                fail([pending], LedgerUnavailable("the ledger's memory is full, and this needs some"))
            elif self._watermark is not None and result.outcome < Outcome.AGAIN:
                waiting.append((pending, result))
            elif not pending.future.done():
                pending.future.set_result(result)
        if self._watermark is not None:
            self._watermark.learn(reply.epoch, reply.seq - reply.unjournaled)
            if waiting:
                self._watermark.hold(reply.seq, waiting)
        self._queue.extendleft(reversed(again))  # not decided: they go first in the next batch (R21)

    def _pause(self, pending: Pending, result: Result) -> None:
        """Send a contended command again after a pause, while its time lasts (R3)."""
        loop = asyncio.get_running_loop()
        pending.pause_s = min(2 * pending.pause_s, CONTENDED_PAUSE_S)
        pause = pending.pause_s * random.uniform(0.5, 1)  # noqa: S311 - so that those who wait do not meet again
        if loop.time() + pause >= pending.deadline:
            refuse_contended(pending, result)
            return
        pending.contended = result
        self._pausing += 1
        loop.call_later(pause, self._resume, pending)

    def _resume(self, pending: Pending) -> None:
        self._pausing -= 1
        self._queue.append(pending)
        self._arrived.set()

    def _go_away(self, why: LedgerError) -> None:
        """Refuse newcomers at once, and what is queued unsent, until the ledger answers again."""
        if type(self.away) is not type(why):  # once per absence, not per attempt
            series(LEDGER_ERRORS, type(why).__name__).inc()
        if self._watermark is not None and isinstance(why, LedgerRecovering):
            self._watermark.give_up(OutcomeUnknown(str(why)))
        if self.away is None:
            log.warning("the ledger is away", partition=self.partition, reason=str(why))
        self.away = why
        while self._queue:
            pending = self._queue.popleft()
            if not pending.future.done():
                pending.future.set_exception(type(why)(str(why)))

    def _drop_connection(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
