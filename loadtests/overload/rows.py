"""Rows: one kind of overload each, between two peaks of its own, and what it showed."""

import asyncio
import os
from pathlib import Path

from msgspec import Struct

from loadtests.overload import bars
from loadtests.overload.bars import Bar, at_most
from loadtests.overload.callers import Plan, Seen
from loadtests.overload.calling import back_after, called, percentile
from loadtests.overload.costs import Costs, costs
from loadtests.overload.payments import Paid, pay

PAGE = os.sysconf("SC_PAGE_SIZE")

#: Payments a second beside each row.
PAYMENTS_PER_S = 15.0

#: How long callers ask before they count, in a row and in a peak alike: service has to be as before within it.
WARM_S = 2.0

START_S = 3.0  # what callers take to start and to connect, at most


class Row(Struct):
    """``bar`` is of goodput ÷ peak. ``times`` multiplies the peak's connections, ``rate`` its goodput.

    ``depth`` requests lie ahead on a connection: more than can be read, so that goodput counts of what is read, and
    times would say how long requests lay in sockets.
    """

    name: str
    bar: float
    times: float = 1.0
    rate: float = 0.0
    retries: int = 0
    obey: bool = True
    depth: int = 1


class Peak(Struct):
    """A closed loop of so many callers that all are answered."""

    goodput: float  # reservations a second
    p50_ms: float
    p99_ms: float
    refused: float
    us: dict[str, float]  # CPU of each process for a reservation, refusals included


class Shown(Struct):
    """What a row showed. Goodput is reservations a second."""

    name: str
    bars: list[Bar]
    goodput: float
    peak: Peak  # the mean of the one before and the one after
    us: dict[str, float]  # as of the peak: what it has less is where goodput went
    by_cpu: float  # the peak's CPU of all processes a reservation ÷ the row's: goodput ÷ peak, were there no others
    p50_ms: float
    p99_ms: float
    refused: float  # a second
    refused_p99_ms: float
    statuses: dict[int, int]
    broken: int
    missed: int  # requests that were due and found no connection
    payments_p99_ms: float
    failures: dict[str, int]  # of payments
    rss_mb: tuple[float, float]  # of the API process: highest in the first half, and in the second
    cores: dict[str, float]  # by process; ``callers`` are the generator
    others: float  # the part of the machine that others had
    load: float
    drift: float = 0.0  # by how much the peak after it differs from the one before

    @property
    def judgeable(self) -> bool:
        return self.others <= bars.OTHERS and self.drift <= bars.DRIFT


class Bench(Struct):
    """Where the rows are played."""

    api: str
    p0: str
    key: str
    admin_key: str
    run: Path  # pid files of the stack
    skus: int
    connections: int
    seconds: float
    processes: int

    @property
    def pid(self) -> int:
        """Of the API process."""
        return int((self.run / "api-1.pid").read_text())

    def plan(self, connections: int, seconds: float, **more: float | bool | str) -> Plan:
        """Callers with the everyday key, unless ``key`` says another."""
        port = int(self.api.rsplit(":", 1)[1])
        return Plan("127.0.0.1", port, str(more.pop("key", self.key)), self.skus, connections, seconds, **more)  # pyright: ignore[reportArgumentType]


async def peak(bench: Bench) -> tuple[Peak, list[int]]:
    """The peak now, and the good answers of each quarter of a second from its beginning."""
    seconds = bench.seconds / 2  # with the one on the row's other side as long as the row
    before = costs(bench.run)
    seen = await called(bench.plan(bench.connections, seconds, warm_s=WARM_S), bench.processes)
    spent = costs(bench.run) - before
    good = seen.statuses.get(201, 0)
    found = Peak(
        good / seconds, percentile(seen.good_ms, 50), percentile(seen.good_ms, 99), seen.statuses.get(503, 0) / seconds,
        each_us(spent, seen),
    )  # fmt: skip
    return found, seen.windows


async def play(row: Row, bench: Bench, before: Peak, holds: list[str]) -> tuple[Shown, Peak]:
    """One row with payments beside it, and the peak that came after."""
    plan = bench.plan(
        int(bench.connections * row.times), bench.seconds, rate=row.rate * before.goodput, retries=row.retries,
        obey=row.obey, depth=row.depth, warm_s=WARM_S,
    )  # fmt: skip
    stop = asyncio.Event()
    paying = asyncio.create_task(pay(bench.p0, bench.key, holds, PAYMENTS_PER_S, stop))
    watching = asyncio.create_task(watched(bench.pid, plan.warm_s + plan.seconds))
    spent = costs(bench.run)
    seen = await called(plan, bench.processes)
    spent = costs(bench.run) - spent
    us = each_us(spent, seen)
    after, windows = await peak(bench)
    stop.set()
    beside = mean(before, after)
    recovered = back_after(windows, after.goodput)
    found = shown(row, bench, seen, spent, us, beside, await paying, recovered, await watching)
    found.drift = abs(after.goodput / before.goodput - 1)
    return found, after


def shown(
    row: Row, bench: Bench, seen: Seen, spent: Costs, us: dict[str, float], beside: Peak, paid: Paid,
    recovered: float | None, rss: tuple[float, float],
) -> Shown:  # fmt: skip
    """The figures of a row, with its bars."""
    good, refused = seen.statuses.get(201, 0), seen.statuses.get(503, 0)
    p99 = percentile(seen.good_ms, 99)
    ahead = row.depth > 1
    judged = [
        Bar("goodput of what was read", good / max(1, good + refused), bars.READ_WELL) if ahead
        else Bar("goodput ÷ peak", good / bench.seconds / beside.goodput, row.bar),
        Bar("payments that succeeded", paid.done / max(1, paid.asked), bars.PAYMENTS),
        at_most("seconds until it was as before", recovered, bars.RECOVERED_S),
    ]  # fmt: skip
    if ahead:
        judged.append(at_most("memory, second half ÷ first", rss[1] / rss[0], bars.FLAT))
    else:
        judged.append(at_most("admitted p99 ÷ unloaded p99", p99 / beside.p99_ms, bars.P99_TIMES))
    return Shown(
        row.name, judged, good / bench.seconds, beside, us,
        sum(beside.us.values()) / max(1e-9, sum(us.values())),
        percentile(seen.good_ms, 50), p99, refused / bench.seconds, percentile(seen.refused_ms, 99), seen.statuses,
        seen.broken, seen.missed, percentile(paid.took_ms, 99), paid.failures, rss,
        {name: spent.cores(seconds) for name, seconds in spent.spent.items()}, spent.others, os.getloadavg()[0],
    )  # fmt: skip


def each_us(spent: Costs, seen: Seen) -> dict[str, float]:
    """CPU of each process for a reservation; that of the callers is noted in ``spent``, too."""
    spent.spent["callers"] = seen.cpu_s
    return {name: seconds / max(1, sum(seen.windows)) * 1e6 for name, seconds in spent.spent.items()}


def mean(one: Peak, other: Peak) -> Peak:
    """The peak between two, one before a row and one after it."""
    us = {name: (one.us[name] + other.us[name]) / 2 for name in one.us}
    pairs = ((getattr(one, name), getattr(other, name)) for name in ("goodput", "p50_ms", "p99_ms", "refused"))
    goodput, p50_ms, p99_ms, refused = ((a + b) / 2 for a, b in pairs)
    return Peak(goodput, p50_ms, p99_ms, refused, us)


def rss_mb(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE / 1e6


async def watched(pid: int, seconds: float) -> tuple[float, float]:
    """The highest memory of a process in the first half of a time and in the second, MB."""
    highest = [0.0, 0.0]
    for turn in range(int(seconds * 10)):
        half = int(turn >= seconds * 5)
        highest[half] = max(highest[half], rss_mb(pid))
        await asyncio.sleep(0.1)
    return highest[0], highest[1]
