"""Oversold = 0: what was sold after a run, by the ledger's, the journal's and the callers' numbers."""

from collections import Counter
from collections.abc import Mapping

import asyncpg
from msgspec import Struct

from atp.bench.peers import Peer, Stored
from atp.bench.report import Finding
from atp.bench.shapes import Shape, ask
from atp.demo.http import Client
from atp.dev.state import Endpoints

_SKUS = 500  # of a query
_QUERY_S = 60.0

# Every reservation of a run is one unit, so units are rows; what was released or expired is stock again.
_SOLD = """
select skus[1] as sku, count(*) as made, count(*) filter (where state not in ('released', 'expired')) as sold
from reservations where skus[1] = any($1::text[]) group by skus[1]
"""


class Sold(Struct):
    """Units of a sku by those who know: what the ledger counts and promises, what the journal has."""

    on_hand: int
    promised: int
    journaled: int
    made: int  # reservations of any state


async def sold(endpoints: Endpoints, skus: tuple[str, ...]) -> dict[str, Sold]:
    """By sku, from the API and from PostgreSQL; the outbox must be empty."""
    client = Client(endpoints.api, endpoints.api_key)
    found: dict[str, Sold] = {}
    for start in range(0, len(skus), _SKUS):
        asked = {"skus": skus[start : start + _SKUS]}
        for item in (await ask(client, "POST", "/v1/availability/query", asked))["availability"]:
            promised = sum(at["held"] + at["committed"] for at in item["locations"])
            found[item["sku"]] = Sold(sum(at["on_hand"] for at in item["locations"]), promised, 0, 0)
    client.close()
    connection = await asyncpg.connect(endpoints.postgres, timeout=10, command_timeout=_QUERY_S)
    try:
        for row in await connection.fetch(_SOLD, list(skus)):
            found[row["sku"]].journaled, found[row["sku"]].made = row["sold"], row["made"]
    finally:
        await connection.close(timeout=5)
    return found


def conserved(shape: Shape, found: Mapping[str, Sold], acknowledged: int) -> list[Finding]:
    """What must hold for a shape of which callers were told that ``acknowledged`` units are theirs."""
    name = f"{len(shape.skus):,} skus × {len(shape.locations)} locations ({shape.name})"
    over = Counter({sku: max(s.promised, s.journaled) - shape.stock for sku, s in found.items()})
    over = +over
    moved = [sku for sku, s in found.items() if s.on_hand != shape.stock]
    apart = [f"{sku}: {s.promised} ≠ {s.journaled}" for sku, s in found.items() if s.promised != s.journaled]
    units, made = sum(s.promised for s in found.values()), sum(s.made for s in found.values())
    return [
        Finding(f"oversold 0: {name}", not over and not moved and len(found) == len(shape.skus),
                f"{units:,} of {shape.stock * len(shape.skus):,} units sold, {over.total():,} too many"
                + (f"; stock differs from what was told: {', '.join(moved[:3])}" if moved else "")),
        Finding(f"ledger = journal: {name}", not apart,
                ", ".join(apart[:3]) or f"both have {units:,} units promised"),
        Finding(f"nothing acknowledged is lost: {name}", made >= acknowledged,
                f"{acknowledged:,} reservations were acknowledged, {made:,} are kept"),
    ]  # fmt: skip


def peer_conserved(name: str, found: Mapping[str, tuple[int, Stored, int]]) -> Finding:
    """The same for a peer, by sku: units at first, what it says now, and how many reservations it acknowledged."""
    wrong = [
        sku for sku, (units, stored, told) in found.items()
        if stored.free < 0 or stored.free + stored.reservations != units or stored.reservations < told
    ]  # fmt: skip
    detail = "; ".join(
        f"{sku}: {stored.free:,} free + {stored.reservations:,} reserved of {units:,}, {told:,} acknowledged"
        for sku, (units, stored, told) in found.items()
    )
    return Finding(f"oversold 0: {name}", not wrong, detail)


async def check_peers(
    peers: Mapping[str, Peer], acknowledged: Mapping[tuple[str, str], int], units: Mapping[str, int]
) -> list[Finding]:
    """A finding of every peer."""
    return [
        peer_conserved(name, {sku: (units[sku], await peer.stored(sku), acknowledged[name, sku]) for sku in units})
        for name, peer in peers.items()
    ]
