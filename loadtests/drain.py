"""What does an entry cost on its way from the ledger to the journal and to NATS? CPU of each process, µs an entry.

    python -m loadtests.drain [--entries 20000] [--skus 1] [--json]

Against servers of its own: reserves fill the outbox, then the outbox's workers empty it. CPU time, because a reserve's
own work shares the machine with this (DESIGN §9: "ingest and drain running and keeping up").
"""

import argparse
import asyncio
import json
import tempfile
import time
from pathlib import Path

import nats
import uvloop

from atp.bench.cpu import cpu_s
from atp.dev.nats import Nats
from atp.dev.postgres import Postgres
from atp.dev.valkey import Valkey
from atp.domain.collecting import rarely
from atp.domain.commands import Level, PutPolicy, Reserve, ReserveLine
from atp.domain.ids import reservation_id
from atp.journal import Journal, JournalSettings, migrate
from atp.ledger import Ledger, LedgerSettings
from atp.outbox import Outbox


async def fill(ledger: Ledger, entries: int, skus: int) -> None:
    """Stock, and as many reserves as entries are wanted."""
    await ledger.put_policy(PutPolicy("location", "DC1", '{"kind":"warehouse"}'))
    await ledger.apply([Level(f"SKU-{n}", "DC1", "wms", 10**8, "sequence", (0, 1), "", 0, 0) for n in range(skus)])
    for start in range(0, entries, 2_000):
        made = []
        for n in range(start, min(start + 2_000, entries)):
            sku, cause = f"SKU-{n % skus}", f"key=abcdefgh request={n:032x}"
            id = reservation_id("shop", str(n), sku)
            made.append(Reserve(id, n, "shop", "web", "", "", "", "", 600_000, [ReserveLine("1", sku, 1)], cause))
        await ledger.apply(made)


async def drain(ledger: Ledger, journal: Journal, url: str) -> None:
    """Until everything is journaled and published."""
    stop, client = asyncio.Event(), await nats.connect(url, pending_size=0)
    outbox = Outbox(client, ledger, journal)
    working = asyncio.create_task(outbox.run(stop))
    (counters,) = (partition.counters for partition in outbox.partitions)
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
        await fill(ledger, options.entries, options.skus)
        rarely()
        servers = {"valkey": valkey, "nats": stream, "postgres": postgres}
        before = {name: cpu_s(server.pid) for name, server in servers.items()}
        own, wall = time.process_time(), time.perf_counter()
        await drain(ledger, journal, stream.url)
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
