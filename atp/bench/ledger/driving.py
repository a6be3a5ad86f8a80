"""One ledger without a batcher, and what its server says of itself."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import batched
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import cast

from redis import Redis

from atp.dev.valkey import Valkey
from atp.domain.commands import Command, Level, PutPolicy, Reserve, ReserveLine
from atp.domain.ids import reservation_id
from atp.domain.outcomes import Outcome
from atp.domain.sellers import item_channel
from atp.ledger import keys, library, wire

PIPELINE = 16
TTL_MS = 600_000


@dataclass(frozen=True)
class Options:
    """How much is measured. ``commands`` are those of a row, ``batches`` those of 512 reserves of three lines."""

    batch: int = 100  # commands of a call
    skus: int = 10_000
    locations: tuple[int, ...] = (1, 12, 200)  # per sku
    large: int = 1_000_000  # positions and open reservations of the comparison by size
    rounds: int = 9
    commands: int = 20_000
    batches: int = 200


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
        self.meta, self.prefix = keys.meta(namespace, 0), keys.prefix(namespace, 0)
        self.locations = [f"DC-{n:03}" for n in range(locations)]
        self.made = 0
        self.redis.execute_command("FCALL", library.function("create"), 1, self.meta, 0, 1, 1, 1, 0)
        self.send(PutPolicy("location", at, '{"kind":"warehouse"}') for at in self.locations)

    def encode(self, commands: Iterable[Command]) -> list[tuple[bytes, int]]:
        return [(wire.encode_commands(part), len(part)) for part in batched(commands, self.batch_size)]

    def call(self, packed: bytes, now: int = 0) -> bytes:
        """One call; ``now`` is the clock of the batch, 0 for the server's own."""
        header = wire.encode_header(wire.Header(1, "load", 1, 1, 0, now, now))
        reply = self.redis.execute_command("FCALL", library.function("apply"), 1, self.meta, header, packed)
        return cast(bytes, reply)

    def send(self, commands: Iterable[Command], now: int = 0) -> None:
        """Apply without measuring."""
        for part in batched(commands, self.batch_size):
            self.call(wire.encode_commands(part), now)
        self.trim()

    def empty(self, now: int) -> None:
        """A batch without commands: what only time does."""
        self.call(wire.encode_commands([]), now)

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

    def script_ms(self, commands: Sequence[Command]) -> tuple[float, int]:
        """Milliseconds of one call with all of them, as the server counts them; µs as the script does."""
        self.redis.config_resetstat()
        reply = wire.decode_reply(self.call(wire.encode_commands(commands)))
        return self.server.script_us() / 1_000, reply.spent_us

    def weight(self, key: str) -> int:
        """Bytes of one of the ledger's keys, by a sample of its fields."""
        return self.redis.memory_usage(self.key(key), samples=20_000) or 0

    def key(self, name: str) -> str:
        """The full name of one of the ledger's keys."""
        return self.prefix + name

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

    def protect(self, skus: int, channels: Sequence[str]) -> None:
        """A floor for each of the channels at every sku."""
        self.send(
            PutPolicy("item-channel", item_channel(f"SKU-{n}", channel), '{"protection":1000}')
            for n in range(skus)
            for channel in channels
        )

    def reserves(
        self, count: int, skus: int, location: str = "", lines: int = 1, quantity: int = 1, ttl_ms: int = TTL_MS
    ) -> Iterator[Reserve]:
        """New reservations, round robin over the skus."""
        for n in range(self.made, self.made + count):
            wanted = [
                ReserveLine(str(i + 1), f"SKU-{(n * lines + i) % skus}", quantity, location) for i in range(lines)
            ]
            yield Reserve(
                reservation_id("shop", str(n), wanted[0].sku), n, "shop", "web", "", "", "", "", ttl_ms, wanted
            )
        self.made += count


@contextmanager
def own_server() -> Iterator[Server]:
    """A Valkey of this run's own with the library loaded; no rewrite of its file happens in between."""
    with (
        TemporaryDirectory(prefix="atp-load-") as folder,
        Valkey(Path(folder)) as valkey,
        Redis.from_url(valkey.url, socket_timeout=60, protocol=2) as redis,
    ):
        redis.execute_command("FUNCTION", "LOAD", "REPLACE", library.source()[1])
        redis.config_set("auto-aof-rewrite-percentage", 0)
        yield Server(redis)
