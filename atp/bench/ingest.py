"""Stock events/s through the ledger beside bare nats-py on the same messages (DESIGN §9, R30).

Bare is what a consumer costs that does nothing: nats-py's ``fetch`` and an ``ack`` of each message, and, beside it,
one ``ack`` per fetch. Ours decodes, applies each line in the ledger (appendfsync always), and settles. Rounds
alternate, so that a slow minute of the machine meets all of them. Then the availability lag: events are published at a
steady rate, and some of them are looked for in the ledger's answers.
"""

import asyncio
import contextlib
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import nats
from msgspec import Struct
from nats.aio.client import Client
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from atp.bench.cpu import cpu_s
from atp.bench.figures import REFERENCE, SUBJECT, Round, Series, ratio
from atp.bench.report import Finding, Report
from atp.dev.nats import Nats
from atp.dev.valkey import Valkey
from atp.domain.collecting import rarely
from atp.domain.commands import PutPolicy
from atp.ingest import Consumer, Event, Feed, Settings, ensure_streams
from atp.ingest.feed import level
from atp.ledger import Ledger, LedgerSettings
from atp.pages import Table

_FETCH = 500
_SKUS = 1_000


class Asked(Struct, frozen=True):
    """What to measure; ``lag_rate`` is events/s while the lag is measured for ``lag_seconds``."""

    events: int = 20_000
    lines: int = 1
    rounds: int = 3
    lag_rate: int = 2_000
    lag_seconds: float = 5.0


def events_of(round: int, count: int, lines: int) -> list[Event]:
    """Levels that are all newer than those of the round before."""
    first = round * count
    return [
        level(
            "wms",
            f"e{number}",
            [(f"SKU-{(number * lines + line) % _SKUS}", "DC1", number + line) for line in range(lines)],
            number + 1,
        )
        for number in range(first, first + count)
    ]


async def bare(nc: Client, after: int, count: int, policy: AckPolicy) -> float:
    """Messages/s of fetch and ack."""
    js = nc.jetstream()
    config = ConsumerConfig(ack_policy=policy, max_ack_pending=2 * count, opt_start_seq=after + 1)
    config.deliver_policy = DeliverPolicy.BY_START_SEQUENCE
    consumer = await js.pull_subscribe("stock.v1.>", None, stream="STOCK", config=config)
    started, got = time.perf_counter(), 0
    while got < count:
        messages = await consumer.fetch(min(_FETCH, count - got))
        got += len(messages)
        for message in messages if policy is AckPolicy.EXPLICIT else messages[-1:]:
            await message.ack()
    await nc.flush()
    rate = count / (time.perf_counter() - started)
    await consumer.unsubscribe()
    return rate


async def ours(nc: Client, ledger: Ledger, last: int, count: int) -> float:
    """Messages/s from the start of a consumer until the ledger has the cursor of the last one."""
    stop, consumer = asyncio.Event(), Consumer(nc, ledger)
    started = time.perf_counter()
    task = asyncio.create_task(consumer.run(stop))
    await _until(lambda: consumer.counters.position >= last)
    rate = count / (time.perf_counter() - started)
    stop.set()
    await task
    return rate


async def _until(done: Callable[[], bool]) -> None:
    while not done():  # noqa: ASYNC110 - counters have nothing to wait for
        await asyncio.sleep(0.002)


async def lag(nc: Client, ledger: Ledger, first: int, rate: int, seconds: float) -> list[float]:
    """ms from publishing an event until an answer shows it, of events at a steady rate; every 20th is looked for."""
    stop, consumer = asyncio.Event(), Consumer(nc, ledger)
    task, lags, looking = asyncio.create_task(consumer.run(stop)), [], []
    await _until(lambda: consumer.counters.active)
    feed, count, started = Feed(nc), int(rate * seconds), time.perf_counter()

    async def look(sku: str, quantity: int, since: float) -> None:
        while True:
            (found,) = await ledger.availability([sku])
            if found.locations and found.locations[0].balance.number == quantity:
                lags.append((time.perf_counter() - since) * 1000)
                return
            await asyncio.sleep(0.002)

    step = max(1, rate // 100)
    for begin in range(0, count, step):
        await asyncio.sleep(max(0.0, started + begin / rate - time.perf_counter()))
        batch = [
            level("wms", f"l{first + n}", [(f"LAG-{n}", "DC1", n + 1)], first + n)
            for n in range(begin, min(count, begin + step))
        ]
        since = time.perf_counter()
        await feed.publish(batch)
        looking.append(asyncio.create_task(look(f"LAG-{begin}", begin + 1, since)))
    await asyncio.wait_for(asyncio.gather(*looking), 60)
    stop.set()
    await task
    return sorted(lags)


async def measure(asked: Asked, report: Report) -> None:
    """All rounds, and the lag, into the report."""
    with (
        tempfile.TemporaryDirectory(prefix="atp-bench-") as folder,
        Nats(Path(folder)) as stream,
        Valkey(Path(folder)) as valkey,
    ):
        await _measure(asked, report, stream, valkey)


async def _measure(asked: Asked, report: Report, stream: Nats, valkey: Valkey) -> None:
    rarely()  # as every process of the service does
    async with contextlib.AsyncExitStack() as opened:  # closed before the servers end, also when interrupted
        nc = await nats.connect(stream.url, pending_size=0)
        opened.push_async_callback(nc.close)
        plain = await nats.connect(stream.url)  # of its own: our consumer replaces parts of its connection's client
        opened.push_async_callback(plain.close)
        ledger = Ledger(LedgerSettings(valkey.url, "load"))
        opened.push_async_callback(ledger.close)
        await ledger.open({})
        await _compare(asked, report, stream, valkey, (nc, plain, ledger))


async def _compare(
    asked: Asked, report: Report, stream: Nats, valkey: Valkey, opened: tuple[Client, Client, Ledger]
) -> None:
    nc, plain, ledger = opened
    await ledger.put_policy(PutPolicy("location", "DC1", '{"kind":"warehouse"}'))
    await ensure_streams(nc.jetstream(), Settings())
    each, per_fetch = (
        Series("bare nats-py, ack each", REFERENCE, []),
        Series("bare nats-py, ack per fetch", REFERENCE, []),
    )
    told, last = Series("stock events", SUBJECT, []), 0
    for round in range(asked.rounds):
        before = last
        last = await Feed(nc).publish(events_of(round, asked.events, asked.lines))
        costs = Costs(asked.events, {"nats": stream.pid, "valkey": valkey.pid})
        each.rounds.append(costs.round(await bare(plain, before, asked.events, AckPolicy.EXPLICIT)))
        per_fetch.rounds.append(costs.round(await bare(plain, before, asked.events, AckPolicy.ALL)))
        told.rounds.append(costs.round(await ours(nc, ledger, last, asked.events)))
    report.series += [each, per_fetch, told]
    report.ratios += [ratio(f"ingest ÷ {below.name}", told, below) for below in (each, per_fetch)]
    report.findings.append(await _all_taken(ledger, asked))
    if asked.lag_seconds:
        lags = await lag(nc, ledger, 10_000_000, asked.lag_rate, asked.lag_seconds)
        row = [f"{lags[min(len(lags) - 1, len(lags) * p // 100)]:.1f}" for p in (50, 99)]
        report.tables.append(
            Table(f"From event to answer, at {asked.lag_rate:,} events/s", ["p50 ms", "p99 ms"], [row])
        )


async def _all_taken(ledger: Ledger, asked: Asked) -> Finding:
    """Every sku shows the number of the last event that spoke of it."""
    lines = asked.rounds * asked.events * asked.lines
    wanted = {f"SKU-{n % _SKUS}": n // asked.lines + n % asked.lines for n in range(max(0, lines - _SKUS), lines)}
    names = list(wanted)
    pages = [await ledger.availability(names[at : at + 500]) for at in range(0, len(names), 500)]
    shown = {found.sku: found.locations[0].balance.number for page in pages for found in page if found.locations}
    wrong = [sku for sku, number in wanted.items() if shown.get(sku) != number]
    detail = f"{lines:,} lines were told; {len(wrong)} of {len(wanted):,} skus do not show the last number"
    return Finding("every stock event counts", not wrong, detail)


class Costs:
    """CPU of one stretch of work after the other, by process, µs an event."""

    def __init__(self, events: int, pids: dict[str, int]) -> None:
        self._events, self._pids = events, pids
        self._before = self._now()

    def _now(self) -> dict[str, float]:
        return {"this process": time.process_time()} | {name: cpu_s(pid) for name, pid in self._pids.items()}

    def round(self, rate: float) -> Round:
        """What was spent since the last one."""
        now = self._now()
        spent = {name: (now[name] - was) / self._events * 1e6 for name, was in self._before.items()}
        self._before = now
        return Round(rate, self._events, cpu_us=spent)
