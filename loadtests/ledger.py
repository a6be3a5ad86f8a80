"""What the ledger's library costs its server, beside a plain INCR on the same server in the same run (DESIGN §9).

    python -m loadtests.ledger [--batch 100] [--skus 10000] [--locations 1 12 200] [--open 100000] [--json]

One connection calls the library with batches that were encoded before the clock starts. Three times per command, since
each hides something: `script` is what the server itself counts for the call (commandstats: without reading the
request, the append-only file and its fsync), `cpu` is what its main thread used for everything, `wall` is what the
caller waited, fsync included.
"""

import argparse
import json
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import batched
from pathlib import Path
from statistics import quantiles
from time import perf_counter
from typing import Any, cast

from redis import Redis
from rich.console import Console
from rich.table import Table

from atp.dev.valkey import Valkey
from atp.domain.commands import Change, Command, Confirm, Delta, Extend, Level, PutPolicy, Release, Reserve, ReserveLine
from atp.domain.ids import reservation_id
from atp.domain.outcomes import Outcome
from atp.ledger import keys, library, wire

#: Positions that one ledger of the run holds at most, so that 200 locations do not take a minute to fill.
POSITIONS_MAX = 120_000
PIPELINE = 16
TTL_MS = 600_000


@dataclass
class Cost:
    """Microseconds per command."""

    name: str
    commands: int
    script_us: float
    cpu_us: float
    wall_us: float


class Server:
    """The server and what it says of itself."""

    def __init__(self, redis: Redis) -> None:
        self.redis = redis

    def script_us(self) -> float:
        """Spent in library calls since the statistics were reset."""
        return self.redis.info("commandstats").get("cmdstat_fcall", {"usec": 0})["usec"]

    def cpu_us(self) -> float:
        """Used by the main thread since the server started."""
        cpu = self.redis.info("cpu")
        return (cpu["used_cpu_user_main_thread"] + cpu["used_cpu_sys_main_thread"]) * 1e6

    def memory(self) -> int:
        return self.redis.info("memory")["used_memory"]

    def incr(self, name: str, count: int) -> Cost:
        """Plain INCR of one key, the unit of this table."""
        self.redis.config_resetstat()
        connection = self.redis.connection_pool.get_connection()
        packed = connection.pack_commands([("INCR", "plain")] * PIPELINE)
        cpu, started = self.cpu_us(), perf_counter()
        for _ in range(count // PIPELINE):
            connection.send_packed_command(packed)
            for _ in range(PIPELINE):
                connection.read_response()
        wall, cpu = (perf_counter() - started) * 1e6, self.cpu_us() - cpu
        self.redis.connection_pool.release(connection)
        usec = self.redis.info("commandstats")["cmdstat_incr"]["usec"]
        return Cost(name, count, usec / count, cpu / count, wall / count)


class Ledger:
    """One partition, driven without a batcher."""

    def __init__(self, server: Server, namespace: str, locations: int, batch: int) -> None:
        self.server, self.redis, self.batch_size = server, server.redis, batch
        self.meta = keys.meta(namespace, 0)
        self.locations = [f"DC-{n:03}" for n in range(locations)]
        self.made = 0
        self.redis.execute_command("FCALL", library.function("create"), 1, self.meta, 0, 1, 1, 1, 0)
        self.send(PutPolicy("location", at, '{"kind":"warehouse"}') for at in self.locations)

    def encode(self, commands: Iterable[Command]) -> list[tuple[bytes, int]]:
        return [(wire.encode_commands(part), len(part)) for part in batched(commands, self.batch_size)]

    def call(self, packed: bytes) -> bytes:
        header = wire.encode_header(wire.Header(1, "load", 1, 1, 0, 0))
        reply = self.redis.execute_command("FCALL", library.function("apply"), 1, self.meta, header, packed)
        return cast(bytes, reply)

    def send(self, commands: Iterable[Command]) -> None:
        """Apply without measuring."""
        for packed, _ in self.encode(commands):
            self.call(packed)
        self.trim()

    def measure(self, name: str, commands: Iterable[Command], expected: Outcome = Outcome.APPLIED) -> Cost:
        """Apply, and say what it cost; raises if a command became something else than expected."""
        batches = self.encode(commands)
        count = sum(size for _, size in batches)
        self.redis.config_resetstat()
        cpu, started = self.server.cpu_us(), perf_counter()
        replies = [self.call(packed) for packed, _ in batches]
        wall, cpu, script = (perf_counter() - started) * 1e6, self.server.cpu_us() - cpu, self.server.script_us()
        found = {result.outcome for reply in replies for result in wire.decode_reply(reply).results}
        if found != {expected}:
            raise SystemExit(f"{name}: expected {expected!r}, found {found}")
        self.trim()
        return Cost(name, count, script / count, cpu / count, wall / count)

    def script_times(self, commands: Iterable[Command], size: int) -> list[float]:
        """Milliseconds of each call with ``size`` commands."""
        times = []
        for part in batched(commands, size):
            self.redis.config_resetstat()
            self.call(wire.encode_commands(part))
            times.append(self.server.script_us() / 1_000)
        self.trim()
        return times

    def trim(self) -> None:
        self.redis.execute_command("FCALL", library.function("trim"), 1, self.meta, 2**52)

    def fill(self, skus: int, only_last: bool = False) -> None:
        """Stock for every sku at every location, or an empty position at all but the last."""
        units = dict.fromkeys(self.locations, 0 if only_last else 10**8) | {self.locations[-1]: 10**8}
        self.send(
            Level(f"SKU-{n}", at, "wms", units[at], "sequence", (0, 1), "", 0, 0)
            for n in range(skus)
            for at in self.locations
        )

    def reserves(
        self, count: int, skus: int, location: str = "", lines: int = 1, quantity: int = 1
    ) -> Iterator[Reserve]:
        """New reservations, round robin over the skus."""
        for n in range(self.made, self.made + count):
            wanted = [
                ReserveLine(str(i + 1), f"SKU-{(n * lines + i) % skus}", quantity, location) for i in range(lines)
            ]
            yield Reserve(
                reservation_id("shop", str(n), wanted[0].sku), n, "shop", "web", "", "", "", "", TTL_MS, wanted
            )
        self.made += count


def costs(server: Server, options: argparse.Namespace) -> Iterator[Cost]:
    """Every row of the table."""
    count, batch = options.commands, options.batch
    yield server.incr(f"INCR, pipeline {PIPELINE}", 20_000)
    server.redis.config_set("appendfsync", "no")
    yield server.incr(f"INCR, pipeline {PIPELINE}, no fsync", 100_000)
    server.redis.config_set("appendfsync", "always")
    ledger = Ledger(server, "hot", 1, batch)
    ledger.fill(1)
    yield ledger.measure("reserve, hot sku, location named", ledger.reserves(count, 1, ledger.locations[0]))
    made = list(ledger.reserves(count, 1))
    yield ledger.measure("reserve, hot sku", made)
    yield ledger.measure("reserve, repeated", made, Outcome.REPLAYED)
    yield ledger.measure("extend", (Extend(r.id, Change(1, 1), TTL_MS) for r in made))
    yield ledger.measure("confirm", (Confirm(r.id, Change(2, 1), "", []) for r in made))
    yield ledger.measure("release", (Release(r.id, Change(3, 1), "committed", []) for r in made))
    yield ledger.measure("reserve, refused", ledger.reserves(count, 1, quantity=10**9), Outcome.INSUFFICIENT)
    version = range(2, count + 2)
    at = ledger.locations[0]
    yield ledger.measure(
        "level, hot sku", (Level("SKU-0", at, "wms", 10**8, "sequence", (0, v), "", 0, 0) for v in version)
    )
    version = range(count + 2, 2 * count + 2)
    yield ledger.measure(
        "delta, hot sku",
        (Delta("SKU-0", at, "wms", -1, "sequence", (0, v), "", 0, 0, v) for v in version),
    )
    for locations in options.locations:
        skus = max(1, min(options.skus, POSITIONS_MAX // locations))
        ledger = Ledger(server, f"wide{locations}", locations, batch)
        ledger.fill(skus)
        yield ledger.measure(f"reserve, {skus:,} skus × {locations} locations", ledger.reserves(count, skus))
        if locations > 1:
            ledger = Ledger(server, f"last{locations}", locations, batch)
            ledger.fill(1, only_last=True)
            yield ledger.measure(f"reserve, hot sku, only the last of {locations} has stock", ledger.reserves(count, 1))


def sizes(server: Server, options: argparse.Namespace) -> dict[str, float]:
    """Bytes of memory per position and per open reservation of one line, with the outbox trimmed."""
    ledger = Ledger(server, "size", 1, options.batch)
    before = server.memory()
    ledger.fill(options.open)
    positions = server.memory()
    ledger.send(ledger.reserves(options.open, options.open))
    return {
        "bytes_per_position": (positions - before) / options.open,
        "bytes_per_open_reservation": (server.memory() - positions) / options.open,
    }


def times(server: Server, options: argparse.Namespace) -> dict[str, float]:
    """Script time of the largest batch the service sends."""
    ledger = Ledger(server, "times", 1, options.batch)
    ledger.fill(min(options.skus, 10_000))
    found = ledger.script_times(ledger.reserves(512 * options.large, min(options.skus, 10_000), lines=3), 512)
    cuts = quantiles(found, n=100, method="inclusive")
    return {"batch_512x3_p50_ms": cuts[49], "batch_512x3_p99_ms": cuts[98]}


def run(options: argparse.Namespace) -> dict[str, Any]:
    """The whole measurement on a server of its own."""
    with (
        tempfile.TemporaryDirectory(prefix="atp-ledger-") as folder,
        Valkey(Path(folder)) as valkey,
        Redis.from_url(valkey.url, socket_timeout=60, protocol=2) as redis,
    ):
        redis.execute_command("FUNCTION", "LOAD", "REPLACE", library.source()[1])
        server = Server(redis)
        return {"rows": list(costs(server, options)), **sizes(server, options), **times(server, options)}


def show(found: dict[str, Any]) -> None:
    rows: list[Cost] = found["rows"]
    table = Table(title="µs per command on one server, appendfsync always")
    table.add_column("")
    for heading in ("script", "cpu", "wall", "script ÷ INCR", "cpu ÷ INCR"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(
            row.name, f"{row.script_us:.2f}", f"{row.cpu_us:.2f}", f"{row.wall_us:.2f}",
            f"{row.script_us / rows[0].script_us:.1f}", f"{row.cpu_us / rows[0].cpu_us:.1f}",
        )  # fmt: skip
    console = Console()
    console.print(table)
    console.print(f"script time of 512 reserves × 3 lines: p50 {found['batch_512x3_p50_ms']:.2f} ms, "
                  f"p99 {found['batch_512x3_p99_ms']:.2f} ms")  # fmt: skip
    console.print(f"memory: {found['bytes_per_open_reservation']:.0f} bytes per open reservation of one line, "
                  f"{found['bytes_per_position']:.0f} per sku with one position")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=100, help="commands per call")
    parser.add_argument("--skus", type=int, default=10_000)
    parser.add_argument("--locations", type=int, nargs="+", default=[1, 12, 200], help="locations per sku")
    parser.add_argument("--open", type=int, default=100_000, help="open reservations, for the memory")
    parser.add_argument("--commands", type=int, default=20_000, help="commands per row")
    parser.add_argument("--large", type=int, default=200, help="batches of 512")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = run(options)
    if options.json:
        print(json.dumps({**found, "rows": [vars(row) for row in found["rows"]]}))
    else:
        show(found)


if __name__ == "__main__":
    main()
