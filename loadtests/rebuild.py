"""How long is a lost ledger away? Fills one, loses it, and makes it anew from the journal (DESIGN §9, C7).

    python -m loadtests.rebuild [--size 1000000] [--dir FOLDER] [--json]

Against a Valkey and a PostgreSQL of its own: as many open reservations as positions, one of each per sku, journaled.
Twice: from the first entry, then from a baseline. Exits 1 unless the rebuilt state equals the lost one.
"""

import argparse
import asyncio
import contextlib
import gc
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import uvloop

from atp.dev.postgres import Postgres
from atp.dev.valkey import Valkey
from atp.domain.commands import Command, Level, PutPolicy, Reserve, ReserveLine
from atp.domain.ids import reservation_id
from atp.domain.state import State
from atp.journal import Journal, JournalSettings, migrate
from atp.ledger import Ledger, LedgerSettings, keys
from atp.ledger.batcher import Limits
from atp.ledger.connection import Connection, connect
from atp.ledger.records import decode, read
from atp.outbox import Counters, Drainer
from atp.outbox import Settings as OutboxSettings
from atp.outbox.handover import Handover
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
        yield Level(f"sku-{n}", "DC1", "wms", 100, "sequence", (0, 1), "", 0, 0)
    for n in range(size):
        sku = f"sku-{n}"
        lines = [ReserveLine("1", sku, 1)]
        id = reservation_id("shop", str(n), sku)
        yield Reserve(id, 1, "shop", "web", "", "", "", "", 14_000_000, lines)


async def fill(ledger: Ledger, size: int) -> None:
    """Tell the ledger all of it."""
    await ledger.put_policy(PutPolicy("location", "DC1", '{"kind":"warehouse"}'))
    await ledger.put_policy(PutPolicy("source", "wms", '{"kind":"wms"}'))
    waiting: set[asyncio.Future[Any]] = set()
    for command in commands(size):
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


async def run(url: str, database: str, size: int) -> dict[str, Any]:
    """Fill, lose, rebuild, compare; twice."""
    await migrate(database)
    journal = Journal(JournalSettings(database))
    await journal.open()
    ledger = Ledger(LedgerSettings(url, limits=Limits(command_deadline_s=60.0, batch_timeout_s=10.0)))
    await ledger.open(await journal.heads())
    drainer = Drainer(ledger, journal, 0, "loadtest", Handover(10), OutboxSettings(), Counters())
    stop = asyncio.Event()
    draining = asyncio.create_task(drainer.run(stop))
    filled = bool((await journal.heads()).get(0, 0) > size)  # by an earlier run in the same folder
    note(f"filling {size} positions and {size} reservations")
    began = time.monotonic()
    if not filled:
        await fill(ledger, size)
    while (await ledger.heads())[0].outbox_length:  # noqa: ASYNC110 - another process would tell of it no sooner
        await asyncio.sleep(0.2)
    stop.set()
    await draining
    note(f"filled and journaled in {time.monotonic() - began:.0f} s")
    found: dict[str, Any] = {"size": size, "fill_s": round(time.monotonic() - began, 1)}
    connection = await connect(url, 5.0)
    before = await state_of(connection, "atp")
    settings = Settings(witness_s=0.5)
    for name in ("first entry", "baseline"):
        if name == "baseline":
            began = time.monotonic()
            await make_baseline(journal, 0, settings)
            found["making_a_baseline_s"] = round(time.monotonic() - began, 1)
            note(f"made a baseline in {found['making_a_baseline_s']} s")
        gc.collect()
        gc.freeze()
        await connection.ask("FLUSHALL", timeout_s=60)
        began = time.monotonic()
        rebuilt = await Rebuilder(ledger, journal, 0, LastTold(None, settings), settings).run()
        seconds = time.monotonic() - began
        assert rebuilt is not None
        after = await state_of(connection, "atp")
        phases = {phase: round(took, 1) for phase, took in rebuilt.seconds.items()}
        found[name] = {"seconds": round(seconds, 1), "phases": phases, "entries": rebuilt.entries,
                       "records": rebuilt.records, "differs": differences(after, before)}  # fmt: skip
        note(f"from the {name}: {seconds:.1f} s, {phases}, differs: {found[name]['differs']}")
        del after
    await connection.end()
    await ledger.close()
    await journal.close()
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=1_000_000)
    parser.add_argument("--dir", type=Path, help="where the servers' data goes; a temporary folder otherwise")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = options.dir or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="atp-rebuild-")))
        valkey, postgres = stack.enter_context(Valkey(folder)), stack.enter_context(Postgres(folder))
        found = uvloop.run(run(valkey.url, postgres.url, options.size))
    if options.json:
        print(json.dumps(found))
    return 1 if any(found[name]["differs"] for name in ("first entry", "baseline")) else 0


if __name__ == "__main__":
    sys.exit(main())
