"""Rows: one kind of overload each, what it has to show, and what it showed."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

from msgspec import Struct, json, structs

from loadtests.overload.callers import Plan, Seen
from loadtests.overload.payments import Paid, pay

ROOT = Path(__file__).parents[2]
PAGE = os.sysconf("SC_PAGE_SIZE")

#: Payments a second beside each row.
PAYMENTS_PER_S = 15.0

#: How long the peak's callers go on after a row, and how long service may take to be as before.
AFTER_S = 3.0
RECOVERED_S = 2.0


class Row(Struct):
    """``bar`` is of goodput ÷ peak. ``times`` multiplies the peak's connections, ``rate`` its goodput."""

    name: str
    bar: float
    times: float = 1.0
    rate: float = 0.0
    retries: int = 0
    obey: bool = True
    depth: int = 1


class Shown(Struct):
    """What a row showed. Goodput is reservations a second."""

    name: str
    bar: float
    goodput: float
    p50_ms: float
    p99_ms: float
    refused: float  # a second
    refused_p99_ms: float
    others: dict[int, int]
    broken: int
    missed: int
    paid: int
    payments: int
    payments_p99_ms: float
    ahead: bool  # requests were sent ahead of answers, so times say how long they lay unread
    failures: dict[str, int]
    recovered_s: float | None  # None: not within the time that is looked at
    rss_mb: tuple[float, float]  # of the API process, at the beginning and the highest
    load: float


class Bench(Struct):
    """Where the rows are played."""

    api: str
    p0: str
    key: str
    pid: int
    skus: int
    connections: int
    seconds: float
    processes: int


async def play(row: Row, bench: Bench, peak: float, holds: list[str]) -> Shown:
    """One row with payments beside it, and what came after."""
    plan = Plan(
        "127.0.0.1", int(bench.api.rsplit(":", 1)[1]), bench.key, bench.skus, int(bench.connections * row.times),
        bench.seconds, rate=row.rate * peak, retries=row.retries, obey=row.obey, depth=row.depth,
    )  # fmt: skip
    stop = asyncio.Event()
    paying = asyncio.create_task(pay(bench.p0, bench.key, holds, PAYMENTS_PER_S, stop))
    watching = asyncio.create_task(highest_rss(bench.pid, stop))
    before = rss(bench.pid)
    seen = await callers(plan, bench.processes)
    recovered = None
    if row.bar and peak:
        after = Plan(plan.host, plan.port, plan.key, plan.skus, bench.connections, AFTER_S, warm_s=0.0)
        recovered = back_after((await callers(after, bench.processes)).windows, peak)
    stop.set()
    return shown(row, bench, seen, await paying, recovered, (before, await watching))


def shown(
    row: Row, bench: Bench, seen: Seen, paid: Paid, recovered: float | None, memory: tuple[float, float]
) -> Shown:
    """The figures of a row."""
    others = {status: count for status, count in seen.statuses.items() if status not in (201, 503)}
    return Shown(
        row.name, row.bar, seen.statuses.get(201, 0) / bench.seconds, percentile(seen.good_ms, 50),
        percentile(seen.good_ms, 99), seen.statuses.get(503, 0) / bench.seconds, percentile(seen.refused_ms, 99),
        others, seen.broken, seen.missed, paid.done, paid.asked, percentile(paid.took_ms, 99), row.depth > 1,
        paid.failures, recovered, memory, os.getloadavg()[0],
    )  # fmt: skip


async def callers(plan: Plan, processes: int) -> Seen:
    """The plan, divided among processes; together what they saw."""
    share = structs.replace(plan, connections=plan.connections // processes, rate=plan.rate / processes)
    command = [sys.executable, "-m", "loadtests.overload.callers"]

    def one() -> Seen:
        timeout = plan.warm_s + plan.seconds + 60
        done = subprocess.run(command, input=json.encode(share), capture_output=True, cwd=ROOT, timeout=timeout)
        if done.returncode:
            raise SystemExit(done.stderr.decode())
        return json.decode(done.stdout, type=Seen)

    return together(await asyncio.gather(*(asyncio.to_thread(one) for _ in range(processes))))


def together(all: list[Seen]) -> Seen:
    """The sum of what several processes saw."""
    whole = Seen()
    for seen in all:
        for status, count in seen.statuses.items():
            whole.statuses[status] = whole.statuses.get(status, 0) + count
        whole.good_ms += seen.good_ms
        whole.refused_ms += seen.refused_ms
        whole.broken += seen.broken
        whole.missed += seen.missed
    longest = max(len(seen.windows) for seen in all)
    whole.windows = [sum(seen.windows[i] for seen in all if i < len(seen.windows)) for i in range(longest)]
    return whole


def back_after(windows: list[int], peak: float) -> float | None:
    """Seconds until a quarter of a second was as good as nine tenths of the peak's."""
    for index, good in enumerate(windows):
        if good * 4 >= 0.9 * peak:
            return index / 4
    return None


def percentile(times: list[float], part: int) -> float:
    return sorted(times)[len(times) * part // 100] if times else 0.0


def rss(pid: int) -> float:
    """MB of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE / 1e6


async def highest_rss(pid: int, stop: asyncio.Event) -> float:
    most = rss(pid)
    while not stop.is_set():
        most = max(most, rss(pid))
        await asyncio.sleep(0.1)
    return most
