"""Run: a stack of its own, its peak, and every row (R25)."""

import asyncio
import tempfile
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from atp.bench.shapes import reservations
from atp.dev.ports import free_port
from atp.dev.stack import DevStack
from loadtests.overload.calling import called
from loadtests.overload.neighbour import NAME, play_neighbour
from loadtests.overload.payments import pay
from loadtests.overload.rows import PAYMENTS_PER_S, START_S, WARM_S, Bench, Peak, Row, Shown, peak, play
from loadtests.stock import stock

ROWS = (
    Row("3x", 0.95, times=3),
    Row("10x", 0.90, times=10),
    Row("3x-impatient", 0.80, times=3, retries=5),
    Row("open-1.2", 0.80, times=4, rate=1.2),
    Row("flood", 0.0, times=3, obey=False, depth=8),
)

NAMES = (NAME, *(row.name for row in ROWS))


class Options(Struct):
    """``seconds`` are each row's own; ``rows`` are names, () all."""

    seconds: float = 10.0
    connections: int = 256
    skus: int = 1_000
    processes: int = 2  # of callers
    rows: tuple[str, ...] = ()


class Found(Struct):
    """The first peak, and the rows in their order."""

    peak: Peak
    rows: list[Shown]

    @property
    def met(self) -> bool:
        """Whether every bar was, and no caller of a peak refused."""
        return not self.peak.refused and all(bar.met for row in self.rows for bar in row.bars)


async def fill(bench: Bench) -> None:
    """Reserve for as long as a row does, which nobody counts.

    A ledger without holds, on processes that just started, is a tenth quicker than it ever is again: the peak before
    the first row would be of another service than the row.
    """
    await called(bench.plan(bench.connections, bench.seconds), bench.processes)


async def measure(options: Options, say: Callable[[Peak | Shown], None]) -> Found:
    """Play the rows, each between two peaks; ``say`` gets every figure when it is there."""
    wanted = options.rows or NAMES
    p0 = free_port()
    with tempfile.TemporaryDirectory(prefix="atp-overload-") as folder:
        async with DevStack(Path(folder), p0_port=p0, say=lambda _: None) as endpoints:
            await stock(endpoints, options.skus)
            bench = Bench(
                endpoints.api, f"http://127.0.0.1:{p0}", endpoints.api_key, endpoints.admin_key, Path(folder) / "run",
                options.skus, options.connections, options.seconds, options.processes,
            )  # fmt: skip
            each = int((options.seconds * 1.5 + 2 * (WARM_S + START_S)) * PAYMENTS_PER_S)
            holds = await reservations(endpoints, ("SKU-0",), each * (len(wanted) + 1))
            await fill(bench)
            stop = asyncio.Event()
            paying = asyncio.create_task(pay(bench.p0, bench.key, holds, PAYMENTS_PER_S, stop))  # as beside all peaks
            before, _ = await peak(bench)
            stop.set()
            await paying
            say(before)
            found = Found(before, [])
            if NAME in wanted:  # first: the more holds there are, the longer rewriting the ledger's file takes
                found.rows.append(await play_neighbour(bench, before, holds))
                say(found.rows[-1])
            for row in ROWS:
                if row.name in wanted:
                    shown, before = await play(row, bench, before, holds)
                    found.rows.append(shown)
                    say(shown)
    return found
