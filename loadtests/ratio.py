"""reserve/s of one API process beside a bare ASGI echo on the same server, in one run (DESIGN §9).

    python -m loadtests.ratio [--seconds 5] [--rounds 3] [--connections 64] [--skus 1] [--json]

Everything that belongs to a reservation is on: appendfsync always, authentication, idempotency, validation, metrics,
and the drainer keeping up. Rounds alternate, so that a slow minute of the machine meets both. Needs wrk.
"""

import argparse
import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import httpx
import nats

from atp.dev.ports import free_port, is_free
from atp.dev.stack import DevStack
from atp.ingest import Feed, Settings
from atp.ingest.feed import level

HERE = Path(__file__).parent


def load(url: str, key: str, options: argparse.Namespace) -> dict[str, float]:
    """One round of wrk."""
    command = [
        "wrk", "-t1", f"-c{options.connections}", f"-d{options.seconds}s", "--timeout", "5s",
        "-s", str(HERE / "reserve.lua"), f"{url}/v1/reservations", "--", key, str(options.skus),
    ]  # fmt: skip
    out = subprocess.run(command, capture_output=True, text=True, check=True, timeout=options.seconds + 30).stdout
    words = next(line for line in out.splitlines() if line.startswith("RESULT")).split()[1:]
    requests, us, p50, p99, refused, errors = map(float, words)
    return {"rate": requests / us * 1e6, "p50_ms": p50 / 1e3, "p99_ms": p99 / 1e3, "refused": refused, "errors": errors}


async def seed(endpoints, skus: int) -> None:
    """One location, every sku with more units than the run can sell."""
    headers = {"Authorization": f"Bearer {endpoints.admin_key}"}
    async with httpx.AsyncClient(base_url=endpoints.api, headers=headers) as client:
        (await client.put("/v1/locations/DC1", json={"kind": "warehouse"})).raise_for_status()
        connection = await nats.connect(endpoints.nats)
        lines = [(f"SKU-{n}", "DC1", 100_000_000) for n in range(skus)]
        chunks = [lines[start : start + 1_000] for start in range(0, skus, 1_000)]
        await Feed(connection, Settings()).publish([level("wms", f"seed-{n}", c, n + 1) for n, c in enumerate(chunks)])
        await connection.close()
        for _ in range(600):
            answer = (await client.get(f"/v1/availability/SKU-{skus - 1}")).json()
            if answer["ats"]:
                return
            await asyncio.sleep(0.1)
    raise SystemExit("the seeded stock never arrived")


async def measure(options: argparse.Namespace) -> dict[str, object]:
    """Alternate rounds against atp and the echo; medians and every round."""
    rounds: dict[str, list[dict[str, float]]] = {"echo": [], "reserve": []}
    with tempfile.TemporaryDirectory(prefix="atp-ratio-") as folder:
        async with DevStack(Path(folder), say=lambda _: None) as endpoints:
            await seed(endpoints, options.skus)
            with echo() as url:
                for _ in range(options.rounds):
                    for name, target in (("echo", url), ("reserve", endpoints.api)):
                        rounds[name].append(await asyncio.to_thread(load, target, endpoints.api_key, options))
            async with httpx.AsyncClient() as client:
                ready = (await client.get(f"{endpoints.api}/health/ready")).json()
    rate = {name: median(r["rate"] for r in found) for name, found in rounds.items()}
    return {
        "connections": options.connections, "skus": options.skus, "rounds": rounds, "rate": rate,
        "ratio": rate["reserve"] / rate["echo"], "outbox_left": ready["checks"]["ledger"]["outbox"],
    }  # fmt: skip


@contextmanager
def echo() -> Iterator[str]:
    """The reference, in a process of its own as an API process is."""
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "loadtests.echo", str(port)], cwd=HERE.parent)
    try:
        while is_free(port):
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--skus", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if not shutil.which("wrk"):
        raise SystemExit("wrk is not installed; on Debian: apt-get install wrk")
    found = asyncio.run(measure(options))
    if options.json:
        print(json.dumps(found))
        return
    for name, each in found["rounds"].items():  # pyright: ignore[reportAttributeAccessIssue]
        for r in each:
            print(f"{name:8} {r['rate']:9,.0f}/s  p50 {r['p50_ms']:6.2f} ms  p99 {r['p99_ms']:6.2f} ms  "
                  f"refused {r['refused']:.0f}  errors {r['errors']:.0f}")  # fmt: skip
    print(f"reserve ÷ echo = {found['ratio']:.2f}  ({options.connections} connections, {options.skus} skus)")


if __name__ == "__main__":
    main()
