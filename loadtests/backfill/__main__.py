"""See the package."""

import argparse
import asyncio
import json
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from subprocess import PIPE, Popen
from time import perf_counter

import nats
from redis import Redis
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from atp.dev.nats import Nats
from atp.dev.valkey import Valkey
from atp.domain.commands import PutPolicy
from atp.ingest import Feed, Settings, ensure_streams, feed
from atp.ledger import Ledger, LedgerSettings

LINES = 1_000
PUBLISHED_AT_ONCE = 50  # parts in one atomic batch: a few megabytes
TIMEOUT_S = 1_800

SETTINGS = Settings()


@dataclass
class Told:
    """What it took."""

    positions: int
    seconds: float
    lines_per_second: float
    sweep_seconds: float  # from the last part to the last look at a position
    ingest_cpu_seconds: float
    ingest_peak_bytes: int
    ledger_bytes: int  # without the outbox
    ledger_bytes_per_position: float
    ledger_cpu_seconds: float


@contextmanager
def ingesting(redis_url: str, nats_url: str) -> Iterator[Popen[str]]:
    """A process that reads until it is told to stop."""
    environment = os.environ | {"BACKFILL_REDIS_URL": redis_url, "BACKFILL_NATS_URL": nats_url}
    process = Popen([sys.executable, "-m", "loadtests.backfill.consuming"], env=environment, stdout=PIPE, text=True)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


async def publish(nats_url: str, positions: int, locations: list[str], tick: Progress) -> int:
    """All parts, in order; the sequence of the last one."""
    client = await nats.connect(nats_url, pending_size=0)
    await ensure_streams(client.jetstream(), SETTINGS)
    sender, parts, last = Feed(client), -(-positions // LINES), 0
    task = tick.add_task("published", total=parts)
    for start in range(0, parts, PUBLISHED_AT_ONCE):
        numbers = range(start, min(start + PUBLISHED_AT_ONCE, parts))
        last = await sender.publish([part(n, parts, positions, locations) for n in numbers])
        tick.update(task, completed=numbers[-1] + 1)
    await client.close()
    return last


def part(number: int, parts: int, positions: int, locations: list[str]) -> feed.Event:
    """One part: every sku at every location, one after the other."""
    numbers = range(number * LINES, min((number + 1) * LINES, positions))
    lines = [(f"SKU-{n // len(locations):07}", locations[n % len(locations)], n % 500) for n in numbers]
    return feed.snapshot("wms", "night", lines, part=number + 1, parts=parts, locations=locations, as_of=99)


async def measure(positions: int, locations: list[str], console: Console) -> Told:
    bar = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}"), TimeRemainingColumn())
    with (
        tempfile.TemporaryDirectory() as folder,
        Valkey(Path(folder)) as valkey,
        Nats(Path(folder)) as server,
        Progress(*bar, console=console) as tick,
    ):
        ledger = Ledger(LedgerSettings(valkey.url))
        await ledger.open({})
        for location in locations:
            await ledger.put_policy(PutPolicy("location", location, '{"kind":"warehouse"}'))
        last = await publish(server.url, positions, locations, tick)
        redis = Redis.from_url(valkey.url)
        empty, cpu = redis.info("memory")["used_memory"], redis.info("cpu")["used_cpu_user_main_thread"]
        with ingesting(valkey.url, server.url) as process:
            task, started, settled = tick.add_task("taken", total=last), 0.0, 0.0
            deadline = perf_counter() + TIMEOUT_S
            while not settled or (await ledger.snapshots.sweeps())[0]:
                assert process.poll() is None, "the ingest process ended by itself"
                assert perf_counter() < deadline, "it takes too long"
                await asyncio.sleep(0.05)
                cursor, (head,) = await ledger.cursor(SETTINGS.key), await ledger.heads()
                started = started or (perf_counter() if head.seq > len(locations) + 2 else 0.0)
                settled = settled or (perf_counter() if cursor >= last else 0.0)
                await ledger.trim(0, head.seq)
                tick.update(task, completed=cursor)
            swept = perf_counter()
            process.send_signal(signal.SIGTERM)
            told = json.loads(process.communicate(timeout=30)[0].splitlines()[-1])
        await ledger.trim(0, (await ledger.heads())[0].seq)
        info = redis.info("memory")["used_memory"] - empty
        cpu = redis.info("cpu")["used_cpu_user_main_thread"] - cpu
        await ledger.close()
    assert told["events"].get("applied", 0) >= positions, told
    seconds = settled - started
    return Told(
        positions, round(seconds, 1), round(positions / seconds), round(swept - settled, 1), round(told["cpu_s"], 1),
        told["peak_kb"] * 1024, info, round(info / positions, 1), round(cpu, 1),
    )  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--positions", type=int, default=1_000_000)
    parser.add_argument("--locations", type=int, default=12)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    locations = [f"DC-{n:03}" for n in range(arguments.locations)]
    console = Console(stderr=True)
    told = asyncio.run(measure(arguments.positions, locations, console))
    if arguments.json:
        print(json.dumps(asdict(told)))
    else:
        for name, value in asdict(told).items():
            console.print(f"{name.replace('_', ' '):28} {value:>16,}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
