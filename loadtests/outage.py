"""PostgreSQL away for minutes under a steady rate of reserves: on until the outbox is full, then shed (R19).

    python -m loadtests.outage [--seconds 600] [--rate 1500] [--outbox 600000] [--buyers 64] [--json]

The journal's server is killed under load and comes back after ``--seconds``. Reserves go on, one unit of one of 10,000
skus each, into an outbox of at most ``--outbox`` entries; from four fifths of it they are refused. Told is how long
they went on, how they were refused, what an entry costs the ledger's memory, and how long after the return reserves
are accepted and the journal is less than a second behind. Exits 1 unless the journal then has exactly the acknowledged
reservations, in an unbroken sequence, and the ledger holds their units.
"""

import argparse
import asyncio
import contextlib
import json
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import asyncpg
import httpx
import uvloop
from msgspec import Struct, field

from atp.config import Config
from atp.demo.http import Answer, Client, NoAnswer
from atp.dev.postgres import Postgres
from atp.dev.stack import DevStack
from atp.dev.state import Endpoints
from atp.ledger.connection import connect
from loadtests.stock import stock

SKUS = 10_000
WARM_S, LOOK_S, AGAIN_S, CATCH_UP_MAX_S = 5.0, 0.1, 0.5, 900.0


class Told(Struct):
    """What buyers were told."""

    accepted: set[str] = field(default_factory=set)
    refused: Counter[str] = field(default_factory=Counter)
    unknown: int = 0  # were asked again under their key until the decision was told
    first: float = 0.0  # when the newest phase had its first accepted reserve
    last: float = 0.0  # when the last reserve was accepted


async def buy(number: int, options: argparse.Namespace, endpoints: Endpoints, told: Told, stop: asyncio.Event) -> None:
    """One of the buyers, who share the rate between them; what is unknown is settled first."""
    client, pace = Client(endpoints.api, endpoints.api_key), options.buyers / options.rate
    due, count = time.monotonic() + pace * number / options.buyers, 0
    while not stop.is_set():
        await asyncio.sleep(due - time.monotonic())
        due, count = due + pace, count + 1
        key, sku = f"{number}-{count}", f"SKU-{(number * 7919 + count * 104_729) % SKUS}"
        body = b'{"lines":[{"sku":"%s","quantity":1}],"ttl_seconds":3600}' % sku.encode()
        answer, code = await settle(client, body, key, told)
        if answer.status == 201:
            told.last = time.monotonic()
            told.first = told.first or told.last
            told.accepted.add(json.loads(answer.body)["id"])
        else:
            told.refused[f"{answer.status} {code}"] += 1
    client.close()


async def settle(client: Client, body: bytes, key: str, told: Told) -> tuple[Answer, str]:
    """The answer and its problem's code. What was unknown once only a decision settles."""
    unknown = False
    while True:
        with contextlib.suppress(NoAnswer):
            answer = await client.ask("POST", "/v1/reservations", body, key)
            code = "" if answer.status == 201 else json.loads(answer.body)["type"].rpartition(":")[2]
            if code != "outcome-unknown" and not (unknown and answer.status >= 500):
                return answer, code
        told.unknown += not unknown
        unknown = True
        await asyncio.sleep(AGAIN_S)


async def memory(endpoints: Endpoints) -> int:
    """Bytes that the ledger's server uses."""
    connection = await connect(endpoints.redis)
    try:
        info = (await connection.ask("INFO", "memory")).decode()
        return int(info.partition("used_memory:")[2].split()[0])
    finally:
        await connection.end()


async def outbox(endpoints: Endpoints) -> int:
    """Entries that the journal does not have."""
    async with httpx.AsyncClient(timeout=10) as client:
        return (await client.get(f"{endpoints.api}/health/ready")).json()["checks"]["ledger"]["outbox"]


async def differences(endpoints: Endpoints, told: Told) -> list[str]:
    """What the journal and the ledger say otherwise than buyers were told."""
    found = []
    journal = await asyncpg.connect(endpoints.postgres)
    try:
        rows = await journal.fetch("select id from reservations")
        count, last = await journal.fetchrow("select count(*), max(seq) from entries where partition = 0")
    finally:
        await journal.close()
    kept = {row["id"] for row in rows}
    if lost := told.accepted - kept:
        found.append(f"{len(lost)} acknowledged reservations are not in the journal")
    if more := kept - told.accepted:
        found.append(f"{len(more)} reservations in the journal that no buyer was told")
    if count != last:
        found.append(f"{count} entries up to {last}")
    held = 0
    async with httpx.AsyncClient(base_url=endpoints.api, timeout=30) as client:
        client.headers["Authorization"] = f"Bearer {endpoints.api_key}"
        for start in range(0, SKUS, 500):
            body = {"skus": [f"SKU-{n}" for n in range(start, start + 500)]}
            answer = (await client.post("/v1/availability/query", json=body)).raise_for_status().json()
            held += sum(item["held"] for item in answer["availability"])
    if held != len(told.accepted):
        found.append(f"the ledger holds {held} units for {len(told.accepted)} reservations of one")
    return found


async def measure(options: argparse.Namespace, folder: Path) -> dict[str, object]:
    """The outage from its first second to the comparison."""
    journal = Postgres(folder / "journal")
    journal.start()
    try:
        config = Config(database_url=await journal.create_database("atp"), outbox_max=options.outbox)
        async with DevStack(folder / "atp", config=config, say=lambda _: None) as endpoints:
            await stock(endpoints, SKUS)
            told, stop = Told(), asyncio.Event()
            buyers = [asyncio.create_task(buy(n, options, endpoints, told, stop)) for n in range(options.buyers)]
            await asyncio.sleep(WARM_S)
            before, size, entries = len(told.accepted), await memory(endpoints), await outbox(endpoints)
            journal.kill()
            away = time.monotonic()
            report("PostgreSQL is killed")
            await asyncio.sleep(options.seconds)
            went_on, accepted = told.last - away, len(told.accepted) - before
            waiting, grown = await outbox(endpoints), await memory(endpoints) - size
            refused, told.refused, told.first = dict(told.refused), Counter(), 0.0
            report(f"it comes back: {accepted:,} accepted in {went_on:.0f} s, {waiting:,} wait, {refused}")
            journal.start()
            back = time.monotonic()
            while await outbox(endpoints) > options.rate:
                if time.monotonic() - back > CATCH_UP_MAX_S:
                    raise SystemExit(f"still {await outbox(endpoints)} entries behind after {CATCH_UP_MAX_S:g} s")
                await asyncio.sleep(LOOK_S)
            caught_up = time.monotonic() - back
            await asyncio.sleep(WARM_S)
            stop.set()
            await asyncio.gather(*buyers)
            while await outbox(endpoints):  # noqa: ASYNC110 - asked of a server
                await asyncio.sleep(LOOK_S)
            return {
                "away_s": options.seconds, "accepted_while_away": accepted, "went_on_s": round(went_on, 1),
                "accepted_per_s": round(accepted / went_on), "entries_waiting": waiting,
                "bytes_a_waiting_entry_and_hold": round(grown / max(1, waiting - entries)), "refused": refused,
                "refused_after_return": dict(told.refused), "accepted_again_s": round(told.first - back, 2),
                "lag_below_1_s_after_s": round(caught_up, 1), "unknown_then_settled": told.unknown,
                "acknowledged": len(told.accepted), "differences": await differences(endpoints, told),
            }  # fmt: skip
    finally:
        journal.stop()


def report(line: str) -> None:
    """Progress, on standard error."""
    print(f"{time.strftime('%H:%M:%S')} {line}", file=sys.stderr, flush=True)


def main() -> None:
    """Run it and tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--rate", type=float, default=1_500, help="reserves a second")
    parser.add_argument("--outbox", type=int, default=600_000, help="entries that may wait")
    parser.add_argument("--buyers", type=int, default=64)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="atp-outage-") as name:
        found = uvloop.run(measure(options, Path(name)))
    print(json.dumps(found) if options.json else "\n".join(f"{name}: {value}" for name, value in found.items()))
    sys.exit(bool(found["differences"]))


if __name__ == "__main__":
    main()
