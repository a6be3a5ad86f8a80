"""How long is a lost ledger away? Fills one, loses it, and makes it anew from the journal (DESIGN §9, C7).

Against a Valkey and a PostgreSQL of its own: as many open reservations as positions, one of each per sku, journaled.
Twice: from the first entry, then from a baseline with ``tail`` entries behind it: levels, confirms, releases and new
reservations of skus at random. Each rebuild is made by a process of its own, whose time and memory is told beside those
of the servers:

    python -m atp.bench.rebuild REDIS_URL DATABASE_URL
"""

import asyncio
import contextlib
import gc
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import uvloop

from atp.bench.report import Finding, Report
from atp.dev.postgres import Postgres
from atp.dev.valkey import Valkey
from atp.domain.commands import Change, Command, Confirm, Level, PutPolicy, Release, Reserve, ReserveLine
from atp.domain.ids import reservation_id
from atp.domain.state import State
from atp.journal import Journal, JournalSettings, migrate
from atp.ledger import Ledger, LedgerSettings, LedgerUnavailable, keys
from atp.ledger.batcher import Limits
from atp.ledger.connection import Connection, connect
from atp.ledger.records import decode, read
from atp.outbox import Counters, Drainer
from atp.outbox import Settings as OutboxSettings
from atp.outbox.handover import Handover
from atp.pages import Table
from atp.rebuild import LastTold, Rebuilder, Settings, make_baseline

#: Commands under way at once.
WINDOW = 2_000

#: What belongs to one epoch, or is no state (atp/domain/replay says why).
NOT_COMPARED = {
    "epoch", "seq", "last_now", "trimmed", "sources", "next_silence", "silence_from", "refused", "refused_before",
    "refused_since", "apart", "apart_at",
}  # fmt: skip


def note(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def commands(size: int) -> Iterator[Command]:
    """A level and an open reservation for each sku."""
    for n in range(size):
        yield _level(n, 1)
    for n in range(size):
        yield _reserve(n, n)


def later(size: int, count: int) -> Iterator[Command]:
    """What happens behind the baseline: a quarter each of levels, reservations, confirms and releases."""
    draw = Random(size)  # noqa: S311 - the same each time
    for n in range(count // 4):
        sku = draw.randrange(size)
        yield _level(sku, n + 2)
        yield _reserve(sku, size + n)
        yield Confirm(_id(size + n, sku), Change(2 * n, n), "", [])
        yield Release(_id(n, n), Change(2 * n + 1, n), "all", [])


def _level(sku: int, version: int) -> Level:
    return Level(f"sku-{sku}", "DC1", "wms", 100, "sequence", (0, version), "", 0, 0)


def _reserve(sku: int, key: int) -> Reserve:
    return Reserve(_id(key, sku), 1, "shop", "web", "", "", "", "", 14_000_000, [ReserveLine("1", f"sku-{sku}", 1)])


def _id(key: int, sku: int) -> str:
    return reservation_id("shop", str(key), f"sku-{sku}")


async def tell(ledger: Ledger, commands: Iterator[Command]) -> None:
    """Have all of them decided, in their order where they are of one reservation."""
    waiting: set[asyncio.Future[Any]] = set()
    for command in commands:
        waiting.add(ledger.submit(command))
        if len(waiting) >= WINDOW:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for future in done:
                assert future.result().outcome.accepted, future.result()
    await asyncio.gather(*waiting)


async def state_of(connection: Connection, namespace: str) -> State:
    """The whole ledger as it is stored."""
    gc.disable()
    try:
        return decode([page async for page in read(connection.ask, keys.prefix(namespace, 0))])
    finally:
        gc.enable()


def differences(found: State, expected: State) -> list[str]:
    """Names of the parts that differ."""
    names = [name for name in State.__struct_fields__ if name not in NOT_COMPARED]
    return [name for name in names if getattr(found, name) != getattr(expected, name)]


async def run(valkey: Valkey, postgres: Postgres, size: int, tail: int) -> dict[str, Any]:
    """Fill, lose, rebuild, compare; twice."""
    database = postgres.url
    await migrate(database)
    journal = Journal(JournalSettings(database))
    await journal.open()
    found: dict[str, Any] = {"size": size, "tail": tail}
    note(f"filling {size} positions and {size} reservations")
    began = time.monotonic()
    if (await journal.heads()).get(0, 0) <= size:  # else an earlier run in the same folder did it
        await journaled(valkey, journal, commands(size))
    elif not await (connection := await connect(valkey.url, 5.0)).ask("DBSIZE"):
        await rebuilt(valkey, postgres)  # that run ended before its rebuild
        await connection.end()
    found["fill_s"] = round(time.monotonic() - began, 1)
    note(f"filled and journaled in {found['fill_s']} s")
    found["first entry"] = await lose(valkey, postgres)
    began = time.monotonic()
    await make_baseline(journal, 0, Settings())
    found["making_a_baseline_s"] = round(time.monotonic() - began, 1)
    note(f"made a baseline in {found['making_a_baseline_s']} s")
    await journaled(valkey, journal, later(size, tail))
    found["baseline"] = await lose(valkey, postgres)
    await journal.close()
    return found


async def journaled(valkey: Valkey, journal: Journal, commands: Iterator[Command]) -> None:
    """Tell the ledger all of it, and wait until the journal has it."""
    ledger = Ledger(LedgerSettings(valkey.url, limits=Limits(command_deadline_s=60.0, batch_timeout_s=10.0)))
    await ledger.open(await journal.heads())
    await ledger.put_policy(PutPolicy("location", "DC1", '{"kind":"warehouse"}'))
    await ledger.put_policy(PutPolicy("source", "wms", '{"kind":"wms"}'))
    drainer = Drainer(ledger, journal, 0, "loadtest", Handover(10), OutboxSettings(), Counters())
    stop = asyncio.Event()
    draining = asyncio.create_task(drainer.run(stop))
    await tell(ledger, commands)
    while (await ledger.heads())[0].outbox_length:  # noqa: ASYNC110 - another process would tell of it no sooner
        await asyncio.sleep(0.2)
    stop.set()
    await draining
    await ledger.close()


async def lose(valkey: Valkey, postgres: Postgres) -> dict[str, Any]:
    """Lose the ledger and have it made anew."""
    connection = await connect(valkey.url, 5.0)
    before = await state_of(connection, "atp")
    await connection.ask("FLUSHALL", timeout_s=60)
    spent = await server_seconds(connection, postgres)
    found = await rebuilt(valkey, postgres)
    now = await server_seconds(connection, postgres)
    found |= {name: round(now[name] - spent[name], 1) for name in spent}
    found["differs"] = differences(await state_of(connection, "atp"), before)
    await connection.end()
    note(json.dumps(found))
    return found


async def rebuilt(valkey: Valkey, postgres: Postgres) -> dict[str, Any]:
    """By another process; what it cost that one."""
    words = [sys.executable, "-m", "atp.bench.rebuild", valkey.url, postgres.url]
    child = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE)
    out, _ = await child.communicate()
    assert not child.returncode, "the rebuild failed"
    return json.loads(out.splitlines()[-1])  # the log comes before it


async def server_seconds(connection: Connection, postgres: Postgres) -> dict[str, float]:
    """CPU seconds of the servers until now; of PostgreSQL those of connections that are over."""
    told = (await connection.ask("INFO", "cpu")).decode()
    used = dict(line.split(":") for line in told.splitlines() if ":" in line)
    return {
        "valkey_cpu_s": float(used["used_cpu_user"]) + float(used["used_cpu_sys"]),
        "valkey_rewrite_cpu_s": float(used["used_cpu_user_children"]) + float(used["used_cpu_sys_children"]),
        "postgres_cpu_s": process_seconds(postgres.pid),
    }


def process_seconds(pid: int) -> float:
    """CPU seconds of a process and of its children that are over."""
    stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, stat[11:15])) / os.sysconf("SC_CLK_TCK")


async def opened(ledger: Ledger, journal: Journal) -> None:
    """The server may still be freeing what it lost."""
    async with asyncio.timeout(60):
        while True:
            try:
                return await ledger.open(await journal.heads(), join=True)
            except LedgerUnavailable:
                await asyncio.sleep(0.1)


async def rebuild(url: str, database: str) -> dict[str, Any]:
    """Make the ledger anew, in this process."""
    journal = Journal(JournalSettings(database))
    await journal.open()
    ledger = Ledger(LedgerSettings(url))
    await opened(ledger, journal)
    began, settings = time.monotonic(), Settings()
    rebuilt = await Rebuilder(ledger, journal, 0, LastTold(None, settings), settings).run()
    assert rebuilt is not None
    seconds = time.monotonic() - began
    await ledger.close()
    await journal.close()
    return {
        "seconds": round(seconds, 1), "process_cpu_s": round(time.process_time(), 1),
        "process_mb": most_memory(),
        "phases": {phase: round(took, 1) for phase, took in rebuilt.seconds.items()},
        "entries": rebuilt.entries, "records": rebuilt.records,
    }  # fmt: skip


def most_memory() -> int:
    """MB that this process had at most, without what it was forked from."""
    found = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    return int(found[1]) // 1024 if found else 0


async def measure(size: int, tail: int, folder: Path | None, report: Report) -> None:
    """Both rebuilds into the report; the servers' data goes into ``folder``, or a temporary one."""
    with contextlib.ExitStack() as stack:
        place = folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="atp-bench-")))
        valkey, postgres = stack.enter_context(Valkey(place)), stack.enter_context(Postgres(place))
        found = await run(valkey, postgres, size, tail)
    title = f"A ledger of {size:,} positions and {size:,} open reservations made anew, seconds"
    headings = ["", "wall", "process CPU", "Valkey CPU", "PostgreSQL CPU", "process MB", "entries", "records", "phases"]
    table = Table(title, headings, [])
    for start in ("first entry", "baseline"):
        one = found[start]
        table.rows.append([
            f"from the {start}", f"{one['seconds']}", f"{one['process_cpu_s']}", f"{one['valkey_cpu_s']}",
            f"{one['postgres_cpu_s']}", f"{one['process_mb']}", f"{one['entries']:,}", f"{one['records']:,}",
            ", ".join(f"{phase} {took}" for phase, took in one["phases"].items()),
        ])  # fmt: skip
        detail = f"differs in {', '.join(one['differs'])}" if one["differs"] else "every record is equal"
        report.findings.append(Finding(f"rebuilt from the {start} = lost", not one["differs"], detail))
    report.tables.append(table)


if __name__ == "__main__":
    print(json.dumps(uvloop.run(rebuild(*sys.argv[1:3]))))
