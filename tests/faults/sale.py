"""A sale on a stack: buyers and feeders that run through faults, and the comparison afterwards."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from msgspec import Struct, field

from .buyers import Buyer
from .checkers import conservation, linear, rebuilt, setfull
from .checkers.violation import Violation
from .feeders import Feeder
from .history import History
from .observer import Observer, Sight, clock_offset, connect_nats
from .shop import OPENING, PLACES, SCARCE, put_policies
from .stack import Stack

_BUYERS = 10
_LOOK_S = 0.05

#: Operations that begin after a fault's end and are acknowledged: then the service serves again (C6).
SERVING = 20


class Patience(Struct, frozen=True):
    """How long is waited, seconds. After an outage deadlines move by half a minute (R22)."""

    buyer_s: float = 60.0  # for an answer to one operation
    recover_s: float = 40.0  # for everything to be as before a fault; longer breaks C6
    quiet_s: float = 75.0  # for everything to end


USUAL = Patience()


class Recovery(Struct, frozen=True):
    """Seconds from the end of a fault until buyers were served, and until journal, events and stock had caught up."""

    serving: float
    caught_up: float


class Outcome(Struct):
    """What a sale showed."""

    acknowledged: int
    resolved: int  # operations that were unknown for a while
    unknown: int  # that stayed so: their buyers never asked again
    violations: list[Violation]
    recoveries: list[Recovery] = field(default_factory=list)

    @property
    def by_sort(self) -> Counter[str]:
        """How many violations there are of each sort."""
        return Counter(violation.sort for violation in self.violations)


class Sale:
    """Use ``open_sale``."""

    def __init__(
        self, stack: Stack, observer: Observer, seed: int, patience: Patience, buyers: int, slack_s: float
    ) -> None:
        self.stack, self.observer = stack, observer
        self._patience = patience
        self.history = History()
        self._slack_s = slack_s
        self._made = 0
        self._seed = seed
        self._buyers = [self.another_buyer() for _ in range(buyers)]
        self._feeders = [Feeder(source, seed, observer.nc, self.history) for source in PLACES]
        self._stop = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self.recoveries: list[Recovery] = []
        self._violations: list[Violation] = []

    def another_buyer(self) -> Buyer:
        """One who does not shop by himself."""
        self._made += 1
        url, key = self.stack.api_url, self.stack.keys.api_key
        return Buyer(self._made, self._seed, url, key, self.history, self._patience.buyer_s)

    async def open(self) -> None:
        """Stock on the shelves, then buyers."""
        await put_policies(self.stack.api_url, self.stack.keys.admin_key)
        for feeder in self._feeders:
            await feeder.open()
        await self.until("the opening stock", self._stock_settled)
        runs = [*(feeder.run(self._stop) for feeder in self._feeders), *(each.run(self._stop) for each in self._buyers)]
        self._tasks = [asyncio.create_task(run) for run in (*runs, self._follow())]
        await self.until("buyers to be served", self._served_since(time.monotonic()))

    async def recover(self) -> Recovery | None:
        """Wait until all is as it was before a fault that ended now; longer than the patience for it breaks C6."""
        ended = time.monotonic()
        try:
            await self.until("buyers to be served", self._served_since(ended), self._patience.recover_s)
            serving = time.monotonic() - ended
            head = await self.observer.head()
            stock = max(feeder.position for feeder in self._feeders)
            await self.until("journal and stock", lambda: self._caught_up(head, stock), self._patience.recover_s)
        except TimeoutError as problem:
            self._violations.append(Violation("C6", "wrong", str(problem)))
            return None
        recovery = Recovery(serving, time.monotonic() - ended)
        self.recoveries.append(recovery)
        return recovery

    async def close(self) -> Outcome:
        """End the sale, wait for quiet, and compare everything with everything."""
        self._stop.set()
        await asyncio.gather(*self._tasks)
        try:
            await self.until("the stock's last event", self._stock_settled, self._patience.quiet_s)
            await self.until("every hold to end", self._holds_ended, self._patience.quiet_s)
            await self.until("the journal to have everything", self._still, self._patience.quiet_s)
        except TimeoutError as problem:
            self._violations.append(Violation("C6", "stranded", str(problem)))
        ops = self.history.ops
        return Outcome(
            self.history.acknowledged(),
            self.history.resolved(),
            sum(op.outcome == "unknown" for op in ops),
            [*self._violations, *await self._check()],
            self.recoveries,
        )

    async def until(self, what: str, condition: Callable[[], bool | Awaitable[bool]], timeout_s: float = 30.0) -> None:
        """Ask until it holds. Raises TimeoutError, which says how far everything is."""
        give_up = time.monotonic() + timeout_s
        while True:
            answer = condition()
            if answer if isinstance(answer, bool) else await answer:
                return
            if time.monotonic() > give_up:
                raise TimeoutError(f"{what}: not within {timeout_s:g} s; {await self.observer.everything()}")
            await asyncio.sleep(_LOOK_S)

    async def lag_is_short(self) -> bool:
        """Whether the journal has within a second what the ledger has now."""
        head = (await self.observer.ledger()).seq
        await asyncio.sleep(1)
        return (await self.observer.everything()).journaled >= head

    # -- conditions ------------------------------------------------------------------------------------------------

    def _served_since(self, moment: float) -> Callable[[], bool]:
        def served() -> bool:
            recent = (op for op in reversed(self.history.ops[-2_000:]) if op.began > moment and op.id)
            return sum(op.outcome == "ok" for op in recent) >= SERVING

        return served

    async def _caught_up(self, head: int, stock: int) -> bool:
        sight = await self.observer.everything()
        return sight.journaled >= head > 0 and sight.published >= head and sight.cursor >= stock

    async def _stock_settled(self) -> bool:
        sight = await self.observer.ledger()
        for feeder in self._feeders:
            feeder.settled(sight.cursor)
        return sight.cursor >= max(feeder.position for feeder in self._feeders) > 0

    async def _holds_ended(self) -> bool:
        sight = await self.observer.ledger()
        unknown = sum(op.outcome == "unknown" and op.kind == "reserve" for op in self.history.ops)
        given_up = min(unknown, sum(op.attempts > 1 for op in self.history.ops if op.outcome == "unknown"))
        return sight.seq > 0 and sight.due <= given_up

    async def _still(self) -> bool:
        before: Sight = await self.observer.everything()
        return 0 < before.seq == before.journaled == before.published == (await self.observer.ledger()).seq

    async def _follow(self) -> None:
        """When the ledger has settled what feeders sent: what is settled has taken effect."""
        while not self._stop.is_set():
            await self._stock_settled()
            await asyncio.sleep(_LOOK_S)

    # -- the comparison --------------------------------------------------------------------------------------------

    async def _check(self) -> list[Violation]:
        entries, shown = await self.observer.entries(), await self.observer.shown()
        head = await self.observer.head()
        ops = self.history.ops
        counts = {(at.sku, at.location): n for feeder in self._feeders for at, n in feeder.count.items()}
        unknown = {op.id for op in ops if op.outcome == "unknown"}
        histories = linear.events_of(ops, entries, clock_offset(), self._slack_s)
        opening = dict.fromkeys(SCARCE, OPENING["till"] * len(PLACES["till"]))
        letters = await self.observer.dead_letters()
        return [
            *(Violation("C5", "wrong", text) for text in self.history.contradictions),
            *setfull.check_sequence(entries, head),
            *setfull.check_operations(ops, entries),
            *setfull.check_deltas(ops, entries, "till"),
            *setfull.check_events(entries, await self.observer.events()),
            *conservation.check_balances(entries),
            *conservation.check_totals(entries, counts, shown),
            *conservation.check_holds(entries, unknown),
            *linear.check_order(histories, opening),
            *rebuilt.check_rebuilt(entries, await self.observer.state()),
            *([Violation("C3", "wrong", f"{letters} messages became dead letters")] if letters else []),
            *self._repeated_batches(),
        ]

    def _repeated_batches(self) -> list[Violation]:
        """Each batch goes over the wire once: who sends one again without raising its session may apply it late."""
        twice = [header for header, times in self.stack.wires["valkey"].batches.items() if times > 1]
        return [Violation("R5", "doubled", f"a batch was sent again as it was: {header!r}") for header in twice[:5]]


@asynccontextmanager
async def open_sale(
    stack: Stack, seed: int = 1, patience: Patience = USUAL, buyers: int = _BUYERS, slack_s: float = 0.0
) -> AsyncIterator[Sale]:
    """A sale under way; ``slack_s`` is what the ledger's clock may be behind in it."""
    nc = await connect_nats(stack.servers["nats"].url)  # type: ignore[attr-defined]
    sale = Sale(stack, Observer(stack, nc), seed, patience, buyers, slack_s)
    try:
        await sale.open()
        yield sale
    finally:
        for task in sale._tasks:  # noqa: SLF001, RUF100
            task.cancel()
        await asyncio.gather(*sale._tasks, return_exceptions=True)  # noqa: SLF001, RUF100
        await nc.close()
