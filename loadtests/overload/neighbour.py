"""Neighbour: how others fare while one client asks for fifty times its quota, round by round without it and with it."""

import asyncio
import os
from statistics import mean, median

from atp.bench.shapes import ask
from atp.demo.http import Client
from loadtests.overload import bars
from loadtests.overload.bars import Bar, at_most
from loadtests.overload.calling import called, percentile
from loadtests.overload.costs import costs
from loadtests.overload.payments import pay
from loadtests.overload.rows import PAYMENTS_PER_S, Bench, Peak, Shown

#: The quota is this part of the peak, and it asks for so many times its quota.
QUOTA, TIMES = 1 / 400, 50

#: Others ask for half the peak.
RATE = 0.5

#: So many of each in turn, of which the middle one counts: once in a while the ledger's server copies itself (its file
#: is written anew) or PostgreSQL makes a checkpoint, and whatever was asked then waited.
ROUNDS = 5

NAME = "neighbour"


async def play_neighbour(bench: Bench, before: Peak, holds: list[str]) -> Shown:
    """Others at a steady half of the peak."""
    key = await limited(bench, before.goodput * QUOTA)
    stop, seconds = asyncio.Event(), bench.seconds / 2 / ROUNDS
    paying = asyncio.create_task(pay(bench.p0, bench.key, holds, PAYMENTS_PER_S, stop))
    alone, beside, greedy = [], [], []
    first = costs(bench.run)
    for _ in range(ROUNDS):
        others = bench.plan(bench.connections, seconds, rate=RATE * before.goodput)
        alone.append(await called(others, bench.processes))
        asking = bench.plan(64, seconds, key=key, rate=TIMES * QUOTA * before.goodput, obey=False)
        one, all = await asyncio.gather(called(asking, 1), called(others, bench.processes))
        greedy.append(one)
        beside.append(all)
    spent = costs(bench.run) - first
    stop.set()
    paid = await paying
    quiet, p99 = (median(percentile(seen.good_ms, 99) for seen in found) for found in (alone, beside))
    refused = sum(one.statuses.get(429, 0) for one in greedy)
    asked = sum(sum(one.statuses.values()) for one in greedy)
    good = sum(seen.statuses.get(201, 0) for seen in beside) / seconds / ROUNDS
    spent.spent["callers"] = sum(seen.cpu_s for seen in (*alone, *beside, *greedy))
    return Shown(
        NAME,
        [
            at_most("others' p99 ÷ without it", p99 / quiet, bars.NEIGHBOUR),
            Bar("payments that succeeded", paid.done / max(1, paid.asked), bars.PAYMENTS),
            Bar("of its requests refused with 429", refused / max(1, asked), 0.9),
        ],
        good, before, {}, 1.0, mean(percentile(seen.good_ms, 50) for seen in beside), p99, refused / seconds / ROUNDS,
        mean(percentile(one.refused_ms, 99) for one in greedy), {}, sum(seen.broken for seen in beside),
        sum(seen.missed for seen in beside), percentile(paid.took_ms, 99), paid.failures, (0.0, 0.0),
        {name: spent.cores(took) for name, took in spent.spent.items()}, spent.others, os.getloadavg()[0],
    )  # fmt: skip


async def limited(bench: Bench, rate: float) -> str:
    """The key of a client with this quota of reservations a second. The row before may still keep the service busy."""
    client = Client(bench.api, bench.admin_key)
    try:
        body = {"id": "greedy", "scopes": ["reservations:write"], "quotas": {"reserve": {"rate": rate}}}
        await ask(client, "POST", "/v1/clients", body)
        return (await ask(client, "POST", "/v1/clients/greedy/keys", {}))["key"]
    finally:
        client.close()
