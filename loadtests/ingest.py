"""Stock events/s through the ledger beside bare nats-py on the same messages, in one run (DESIGN §9, R30).

    python -m loadtests.ingest [--events 20000] [--lines 1] [--rounds 3] [--json]

Bare is what a consumer costs that does nothing: nats-py's ``fetch`` and an ``ack`` of each message, and, beside it,
one ``ack`` per fetch. Ours decodes, applies each line in the ledger (appendfsync always), and settles. Rounds
alternate, so that a slow minute of the machine meets all of them. Then the availability lag: events are published at a
steady rate, and some of them are looked for in the ledger's answers.
"""

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import nats
import uvloop
from nats.aio.client import Client
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from atp.dev.nats import Nats
from atp.dev.valkey import Valkey
from atp.domain.collecting import rarely
from atp.domain.commands import PutPolicy
from atp.ingest import Consumer, Event, Feed, Settings, ensure_streams
from atp.ingest.feed import level
from atp.ledger import Ledger, LedgerSettings

_FETCH = 500
_SKUS = 1_000


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


async def run(options: argparse.Namespace, nats_url: str, valkey_url: str) -> dict[str, object]:
    """All rounds."""
    rarely()  # as every process of the service does
    nc = await nats.connect(nats_url, pending_size=0)
    plain = await nats.connect(nats_url)  # of its own: our consumer replaces parts of its connection's client
    ledger = Ledger(LedgerSettings(valkey_url, "load"))
    await ledger.open({})
    await ledger.put_policy(PutPolicy("location", "DC1", '{"kind":"warehouse"}'))
    await ensure_streams(nc.jetstream(), Settings())
    rates: dict[str, list[float]] = {"bare, ack each": [], "bare, ack per fetch": [], "ours": []}
    last = 0
    for round in range(options.rounds):
        before = last
        last = await Feed(nc).publish(events_of(round, options.events, options.lines))
        rates["bare, ack each"].append(await bare(plain, before, options.events, AckPolicy.EXPLICIT))
        rates["bare, ack per fetch"].append(await bare(plain, before, options.events, AckPolicy.ALL))
        rates["ours"].append(await ours(nc, ledger, last, options.events))
    medians = {name: median(found) for name, found in rates.items()}
    report: dict[str, object] = {
        "events": options.events,
        "lines": options.lines,
        "events_per_s": medians,
        "lines_per_s": medians["ours"] * options.lines,
        "ratio": medians["ours"] / medians["bare, ack each"],
        "ratio_ack_per_fetch": medians["ours"] / medians["bare, ack per fetch"],
    }
    if options.lag_seconds:
        lags = await lag(nc, ledger, 10_000_000, options.lag_rate, options.lag_seconds)
        report["lag_ms"] = {f"p{p}": lags[min(len(lags) - 1, len(lags) * p // 100)] for p in (50, 99)}
    await ledger.close()
    await plain.close()
    await nc.close()
    return report


def main() -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--lines", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--lag-rate", type=int, default=2_000, help="events/s while the lag is measured")
    parser.add_argument("--lag-seconds", type=float, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Nats(Path(folder)) as nats_server, Valkey(Path(folder)) as valkey:
        report = uvloop.run(run(options, nats_server.url, valkey.url))
    if options.json:
        print(json.dumps(report))
        return
    for name, value in report.items():
        print(f"{name:22} {value}")


if __name__ == "__main__":
    main()
