"""Rows: microseconds per command of each kind."""

from collections.abc import Iterator

from atp.bench.ledger.driving import PIPELINE, TTL_MS, Cost, Ledger, Options, Server
from atp.domain.commands import Change, Confirm, Delta, Extend, Level, Release
from atp.domain.outcomes import Outcome

#: Positions that one ledger of the run holds at most, so that 200 locations do not take a minute to fill.
POSITIONS_MAX = 120_000


def costs(server: Server, options: Options) -> Iterator[Cost]:
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
    skus = max(1, min(options.skus, POSITIONS_MAX // 12))
    ledger = Ledger(server, "shares", 12, batch)
    ledger.fill(skus)
    ledger.protect(skus, ("app", "shop"))
    ledger.send(ledger.reserves(skus, skus))  # the first reserve of a sku adds up its positions, the others do not
    name = f"reserve, {skus:,} skus × 12 locations, 2 protected channels"
    yield ledger.measure(name, ledger.reserves(count, skus))
    ledger = Ledger(server, "hot-shares", 12, batch)
    ledger.fill(1)
    ledger.protect(1, ("app", "shop"))
    ledger.send(ledger.reserves(1, 1))
    yield ledger.measure("reserve, hot sku × 12 locations, 2 protected channels", ledger.reserves(count, 1))
