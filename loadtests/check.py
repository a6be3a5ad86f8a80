"""What a check costs: ``python -m loadtests.check [positions] [reservations]``.

Fills a ledger of its own, drains it, and checks it at a tenth of the ledger's time and as fast as it goes, with a buyer
beside it whose reserves are timed.
"""

import asyncio
import contextlib
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from atp.check import Checker, Settings
from atp.dev.postgres import Postgres
from atp.dev.valkey import Valkey
from atp.domain.commands import Command, Level, PutPolicy, Reserve, ReserveLine
from atp.domain.ids import reservation_id
from atp.journal import Journal, JournalSettings, migrate
from atp.ledger import Ledger, LedgerError, LedgerSettings
from atp.ledger.connection import connect
from atp.outbox import Counters, Drainer
from atp.outbox import Settings as OutboxSettings
from atp.outbox.handover import Handover

_CHUNK = 500


def _reserve(n: int, positions: int) -> Reserve:
    sku = f"S{n % positions}"
    id = reservation_id("bench", str(n), sku)
    return Reserve(id, 1, "bench", "web", "", f"o{n}", "", "", 3_000_000, [ReserveLine("1", sku, 1)])


async def _patiently(ledger: Ledger, commands: Sequence[Command]) -> None:
    while True:
        with contextlib.suppress(LedgerError):  # no answer in time: what was applied is not applied again
            await ledger.apply(commands)
            return
        await asyncio.sleep(0.5)


async def _fill(ledger: Ledger, positions: int, reservations: int) -> None:
    await ledger.put_policy(PutPolicy("channel", "web", '{"max_hold_seconds":86400}'))
    await ledger.put_policy(PutPolicy("location", "DC1", '{"kind":"warehouse"}'))
    for start in range(0, positions, _CHUNK):
        names = [f"S{n}" for n in range(start, min(start + _CHUNK, positions))]
        await _patiently(ledger, [Level(sku, "DC1", "wms", 1_000, "sequence", (0, 1), "", 0, 0) for sku in names])
    for start in range(0, reservations, _CHUNK):
        await _patiently(ledger, [_reserve(n, positions) for n in range(start, min(start + _CHUNK, reservations))])


async def _buy(ledger: Ledger, positions: int, stop: asyncio.Event) -> list[float]:
    """Seconds of single reserves, about a hundred a second."""
    took, n = [], time.time_ns()
    while not stop.is_set():
        n += 1
        began = time.perf_counter()
        with contextlib.suppress(LedgerError):
            await ledger.submit(_reserve(n, positions))
        took.append(time.perf_counter() - began)
        await asyncio.sleep(0.01)
    return sorted(took)


async def _cpu(url: str) -> float:
    connection = await connect(url)
    info = dict(line.split(":") for line in (await connection.ask("INFO", "cpu")).decode().split() if ":" in line)
    await connection.end()
    return float(info["used_cpu_user"]) + float(info["used_cpu_sys"])


async def _measure(ledger: Ledger, journal: Journal, url: str, positions: int, share: float | None) -> None:
    stop = asyncio.Event()
    buying = asyncio.create_task(_buy(ledger, positions, stop))
    used, began, own = await _cpu(url), time.perf_counter(), time.process_time()
    told = "no check"
    if share is None:
        await asyncio.sleep(10)
    else:
        id = await journal.checking.request("bench", repair=False, share=share)
        run = await Checker(ledger, journal, Settings()).check(id, lambda _: None)
        told = f"share {share:.0%}: {run.looked:,} looked at, {run.found} found"
    took = time.perf_counter() - began
    stop.set()
    reserves = await buying
    cpu = await _cpu(url) - used
    own = time.process_time() - own
    p50, p99 = (1_000 * reserves[len(reserves) * percent // 100] for percent in (50, 99))
    print(f"{told}: {took:.1f} s; CPU of the ledger {cpu:.2f} s ({cpu / took:.1%}), of this process {own:.1f} s")
    print(f"    reserves meanwhile: p50 {p50:.1f} ms, p99 {p99:.1f} ms")


async def _run(positions: int, reservations: int, folder: Path) -> None:
    with Valkey(folder) as valkey, Postgres(folder) as postgres:
        url = await postgres.create_database("bench")
        await migrate(url)
        ledger, journal = Ledger(LedgerSettings(valkey.url)), Journal(JournalSettings(url))
        await journal.open()
        await ledger.open(await journal.heads())
        stop = asyncio.Event()
        drainer = Drainer(ledger, journal, 0, "bench", Handover(1_000), OutboxSettings(), Counters())
        draining = asyncio.create_task(drainer.run(stop))
        await _fill(ledger, positions, reservations)
        while (await journal.heads()).get(0) != (await ledger.heads())[0].seq:  # noqa: ASYNC110 - asked of servers
            await asyncio.sleep(0.1)
        print(f"{positions:,} positions, {reservations:,} reservations")
        for share in (None, 1.0, 0.1):
            await _measure(ledger, journal, valkey.url, positions, share)
        stop.set()
        await draining
        await ledger.close()
        await journal.close()


if __name__ == "__main__":
    numbers = [int(text) for text in sys.argv[1:]] or [100_000, 100_000]
    with tempfile.TemporaryDirectory(prefix="atp-check-") as name:
        asyncio.run(_run(numbers[0], numbers[-1], Path(name)))
