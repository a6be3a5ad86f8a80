"""What the levels of durability cost: reserves a second and their waiting, by ATP_DURABILITY, in one run.

    python -m loadtests.durability [seconds]

At the ledger's interface, without HTTP: one process, one sku, closed loop. Ratios are what counts (DESIGN §9).
"""

import asyncio
import contextlib
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import nats as nats_client
import uvloop

from atp.dev.nats import Nats
from atp.dev.postgres import Postgres
from atp.dev.valkey import Valkey
from atp.domain.commands import Level, PutPolicy, Reserve, ReserveLine
from atp.domain.ids import reservation_id
from atp.journal import Journal, JournalSettings, migrate
from atp.ledger import Ledger, LedgerSettings
from atp.ledger.connection import ServerRefused, connect
from atp.ledger.durability import on_replica
from atp.ledger.fitness import Durability
from atp.outbox import Outbox, Settings

CALLERS = (1, 16, 256)


def reserve(key: str) -> Reserve:
    lines = [ReserveLine("1", "A", 1)]
    return Reserve(reservation_id("shop", key, "A"), 1, "shop", "web", "", "", "", "", 600_000, lines)


@asynccontextmanager
async def replicated(folder: Path) -> AsyncIterator[str]:
    """URL of a primary whose replica is in step, with the settings of level replica."""
    with Valkey(folder / "primary") as primary, Valkey(folder / "replica") as replica:
        ours, theirs = await connect(primary.url), await connect(replica.url)
        await theirs.ask("CONFIG", "SET", "primaryauth", primary.secret)
        await theirs.ask("REPLICAOF", "127.0.0.1", primary.port)
        await ours.ask("CONFIG", "SET", "min-replicas-to-write", 1, "min-replicas-max-lag", 2)
        in_step = False
        while not in_step:
            await asyncio.sleep(0.1)
            with contextlib.suppress(ServerRefused):  # the primary does not see its replica yet
                await ours.ask("SET", "in step", 1)
                in_step = await on_replica(ours, 5)
        yield primary.url
        for connection in (ours, theirs):
            await connection.end()
        replica.kill()


@asynccontextmanager
async def drained(valkey: str, folder: Path) -> AsyncIterator[None]:
    """A drainer at work, as ``atp drain`` runs it at level journal: in the same process here."""
    with Postgres(folder) as postgres, Nats(folder) as nats:
        await migrate(postgres.url)
        client = await nats_client.connect(nats.url, pending_size=0)
        journal, ledger = Journal(JournalSettings(postgres.url, "atp")), Ledger(LedgerSettings(valkey))
        await journal.open()
        await ledger.open({})
        outbox, stop = Outbox(client, ledger, journal, Settings(idle_s=0.003)), asyncio.Event()
        running = asyncio.create_task(outbox.run(stop))
        yield
        stop.set()
        await running
        await ledger.close()
        await journal.close()
        await client.close()


async def measure(level: Durability, url: str, seconds: float) -> dict[int, tuple[float, float, float]]:
    """By callers: reserves a second, median and p99 of their waiting in ms."""
    ledger = Ledger(LedgerSettings(url, durability=level))
    await ledger.open({})
    await ledger.put_policy(PutPolicy("location", "DC1", '{"kind":"warehouse"}'))
    await ledger.apply([Level("A", "DC1", "wms", 10**8, "sequence", (0, 1), "", 0, 0)])
    found: dict[int, tuple[float, float, float]] = {}
    for callers in CALLERS:
        waits: list[float] = []
        until = time.monotonic() + seconds

        async def call(name: int, callers: int = callers, waits: list[float] = waits, until: float = until) -> None:
            n = 0
            while (started := time.monotonic()) < until:
                n += 1
                await ledger.submit(reserve(f"{callers}.{name}.{n}"))
                waits.append(time.monotonic() - started)

        await asyncio.gather(*(call(name) for name in range(callers)))
        cuts = statistics.quantiles(waits, n=100)
        found[callers] = (len(waits) / seconds, cuts[49] * 1000, cuts[98] * 1000)
    await ledger.close()
    return found


async def main(seconds: float) -> None:
    found: dict[str, dict[int, tuple[float, float, float]]] = {}
    for level in ("fsync", "replica", "journal"):
        async with AsyncExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="atp-durability-")))
            if level == "replica":
                url = await stack.enter_async_context(replicated(folder))
            else:
                url = stack.enter_context(Valkey(folder)).url
            if level == "journal":
                await stack.enter_async_context(drained(url, folder))
            found[level] = await measure(level, url, seconds)
    print(f"{'callers':>8} {'level':>8} {'reserve/s':>10} {'ratio':>6} {'p50 ms':>8} {'p99 ms':>8}")
    for callers in CALLERS:
        for level, rows in found.items():
            rate, median, p99 = rows[callers]
            print(
                f"{callers:8} {level:>8} {rate:10.0f} {rate / found['fsync'][callers][0]:6.2f} {median:8.1f} {p99:8.1f}"
            )


if __name__ == "__main__":
    uvloop.run(main(float(sys.argv[1]) if len(sys.argv) > 1 else 3.0))
