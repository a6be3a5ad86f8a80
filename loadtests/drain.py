"""What does an entry cost on its way from the ledger to the journal and to NATS? CPU of each process, µs an entry.

    python -m loadtests.drain [--entries 20000] [--skus 1] [--rate 0] [--json]

Against servers of its own: reserves fill the outbox, then the outbox's workers empty it. With ``--rate`` they come
meanwhile, so many a second, and batches are as small as that makes them. CPU time, because a reserve's own work shares
the machine with this (DESIGN §9: "ingest and drain running and keeping up").
"""

import argparse
import asyncio
import json
import multiprocessing
import tempfile
import time
from multiprocessing.process import BaseProcess
from pathlib import Path

import nats
import uvloop

from atp.bench.cpu import cpu_s
from atp.dev.nats import Nats
from atp.dev.postgres import Postgres
from atp.dev.valkey import Valkey
from atp.domain.collecting import rarely
from atp.domain.commands import Command, Level, PutPolicy, Reserve, ReserveLine
from atp.domain.ids import reservation_id
from atp.journal import Journal, JournalSettings, migrate
from atp.ledger import Ledger, LedgerSettings
from atp.outbox import Outbox

#: Reserves that come at a rate come in batches of this time.
TICK_S = 0.01


async def stock(ledger: Ledger, skus: int) -> None:
    """What all the reserves take from."""
    await ledger.put_policy(PutPolicy("location", "DC1", '{"kind":"warehouse"}'))
    await ledger.apply([Level(f"SKU-{n}", "DC1", "wms", 10**8, "sequence", (0, 1), "", 0, 0) for n in range(skus)])


def reserves(numbers: range, skus: int) -> list[Command]:
    made: list[Command] = []
    for n in numbers:
        sku, cause = f"SKU-{n % skus}", f"key=abcdefgh request={n:032x}"
        id = reservation_id("shop", str(n), sku)
        made.append(Reserve(id, n, "shop", "web", "", "", "", "", 600_000, [ReserveLine("1", sku, 1)], cause))
    return made


async def fill(ledger: Ledger, entries: int, skus: int, rate: float) -> None:
    """As many reserves as entries are wanted: at once, or ``rate`` a second."""
    size = max(1, int(rate * TICK_S)) if rate else 2_000
    began = time.perf_counter()
    for start in range(0, entries, size):
        numbers = range(start, min(start + size, entries))
        if rate:
            await asyncio.sleep(began + start / rate - time.perf_counter())
        await ledger.apply(reserves(numbers, skus))


def feed(url: str, options: argparse.Namespace) -> None:
    """``fill`` as a process, whose own work is not counted."""

    async def run() -> None:
        ledger = Ledger(LedgerSettings(url, "drain"))
        await ledger.open({})
        await fill(ledger, options.entries, options.skus, options.rate)
        await ledger.close()

    uvloop.run(run())


async def drain(ledger: Ledger, journal: Journal, url: str, feeding: BaseProcess | None) -> None:
    """Until nothing comes any more, and everything is journaled and published."""
    stop, client = asyncio.Event(), await nats.connect(url, pending_size=0)
    outbox = Outbox(client, ledger, journal)
    working = asyncio.create_task(outbox.run(stop))
    (counters,) = (partition.counters for partition in outbox.partitions)
    if feeding:
        await asyncio.to_thread(feeding.join)
    head = (await ledger.heads())[0].seq
    while (await ledger.heads())[0].outbox_length or counters.publish_lag or counters.published == 0:  # noqa: ASYNC110 - what others do
        await asyncio.sleep(0.05)
    mark = await journal.watermark(0)
    assert mark is not None
    assert mark.seq == head, "everything was journaled"
    stop.set()
    await working
    await client.close()


async def measure(options: argparse.Namespace, folder: Path) -> dict[str, float]:
    with Valkey(folder) as valkey, Nats(folder) as stream, Postgres(folder) as postgres:
        database = await postgres.create_database("drain")
        await migrate(database)
        journal = Journal(JournalSettings(url=database, namespace="drain"))
        await journal.open()
        ledger = Ledger(LedgerSettings(valkey.url, "drain"))
        await ledger.open({})
        await stock(ledger, options.skus)
        feeding = None
        if options.rate:
            feeding = multiprocessing.get_context("spawn").Process(target=feed, args=(valkey.url, options))
            feeding.start()
        else:
            await fill(ledger, options.entries, options.skus, 0)
        rarely()
        servers = {"valkey": valkey, "nats": stream, "postgres": postgres}
        before = {name: cpu_s(server.pid) for name, server in servers.items()}
        own, wall = time.process_time(), time.perf_counter()
        await drain(ledger, journal, stream.url, feeding)
        own, wall = time.process_time() - own, time.perf_counter() - wall
        spent = {name: cpu_s(server.pid) - before[name] for name, server in servers.items()}
        await ledger.close()
        await journal.close()
    found = {name: seconds / options.entries * 1e6 for name, seconds in {"drain": own, **spent}.items()}
    return found | {"all": sum(found.values()), "entries_per_s": options.entries / wall}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=20_000)
    parser.add_argument("--skus", type=int, default=1)
    parser.add_argument("--rate", type=float, default=0.0, help="reserves a second; 0: all are there at the start")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="atp-drain-") as folder:
        found = uvloop.run(measure(options, Path(folder)))
    if options.json:
        print(json.dumps(found))
    else:
        print(
            "µs of CPU per entry: "
            + ", ".join(f"{name} {us:.1f}" for name, us in found.items() if name != "entries_per_s")
        )
        print(f"{found['entries_per_s']:,.0f} entries/s")


if __name__ == "__main__":
    main()
