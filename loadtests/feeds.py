"""reserve/s of one API process with and without thousands of readers of the feed, in one run (R33).

    python -m loadtests.feeds [--readers 2000] [--polls 0.5] [--seconds 5] [--rounds 3] [--connections 64] [--json]

Readers are server-sent events and long polls; all follow the skus that are sold meanwhile, so they do hear of changes.
Rounds alternate, so that a slow minute of the machine meets both. Needs a file descriptor for each reader.
"""

import argparse
import asyncio
import contextlib
import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

from msgspec import json as msgspec_json

from atp.bench import load
from atp.bench.asks import Asks
from atp.bench.figures import Round
from atp.bench.subjects import reserving
from atp.dev.stack import DevStack
from atp.dev.state import Endpoints
from loadtests.stock import stock

ROOT = Path(__file__).parent.parent

#: Opened at once: a server's queue of new connections is short.
OPENING = 50


class Readers:
    """Raw connections, for a client library would cost more than what it measures."""

    def __init__(self, url: str, key: str) -> None:
        self._url = urlsplit(url)
        self._head = f"Host: {self._url.netloc}\r\nAuthorization: Bearer {key}\r\n"
        self._opening = asyncio.Semaphore(OPENING)
        self._writers: list[asyncio.StreamWriter] = []
        self.open = 0
        self.pages = 0

    async def stream(self, cursor: str) -> None:
        """One reader of server-sent events."""
        async with self._opening:
            reader = await self._ask(f"/v1/availability/stream?after={cursor}")
            await reader.readuntil(b"\r\n\r\n")
        self.open += 1
        while line := await reader.readline():
            self.pages += line.startswith(b"event:")

    async def poll(self, cursor: str) -> None:
        """One reader that waits for each page, on one connection."""
        async with self._opening:
            reader, writer = await asyncio.open_connection(self._url.hostname, self._url.port)
        self.open += 1
        while True:
            request = f"GET /v1/availability/changes?wait=30&after={cursor} HTTP/1.1\r\n{self._head}\r\n"
            writer.write(request.encode())
            page = await body_of(reader)
            self.pages += bool(page["changes"])
            cursor = page["cursor"]

    async def cursor(self) -> str:
        """The feed's end."""
        after = ""
        while True:
            reader = await self._ask(f"/v1/availability/changes?limit=500{after}")
            page = await body_of(reader)
            after = f"&after={page['cursor']}"
            if not page["more"]:
                return page["cursor"]

    async def _ask(self, path: str) -> asyncio.StreamReader:
        reader, writer = await asyncio.open_connection(self._url.hostname, self._url.port)
        writer.write(f"GET {path} HTTP/1.1\r\n{self._head}\r\n".encode())
        self._writers.append(writer)  # a writer that nobody holds closes its connection
        return reader


async def body_of(reader: asyncio.StreamReader) -> dict:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    if b" 200 " not in head[:20]:
        raise SystemExit(f"refused: {head.decode()}")
    length = int(head.partition(b"content-length: ")[2].split(b"\r", 1)[0])
    return json.loads(await reader.readexactly(length))


async def follow(url: str, key: str, count: int, polls: float) -> None:
    """Readers until standard input ends; says when all are there, and at the end how much they heard."""
    readers = Readers(url, key)
    cursor, waiting = await readers.cursor(), round(count * polls)
    tasks = [asyncio.create_task(readers.poll(cursor)) for _ in range(waiting)]
    tasks += [asyncio.create_task(readers.stream(cursor)) for _ in range(count - waiting)]
    while readers.open < count and not any(task.done() for task in tasks):  # noqa: ASYNC110 - tasks of many kinds
        await asyncio.sleep(0.05)
    print("ready", flush=True)
    before = readers.pages
    await asyncio.to_thread(sys.stdin.read)
    ended = sum(task.done() for task in tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    print(json.dumps({"pages": readers.pages - before, "ended": ended}), flush=True)


@contextmanager
def followers(endpoints: Endpoints, options: argparse.Namespace, heard: list[dict]) -> Iterator[None]:
    """Readers in a process of their own; what they heard is added to ``heard``."""
    command = [sys.executable, "-m", "loadtests.feeds", "--follow", endpoints.api, "--key", endpoints.api_key]
    command += ["--readers", str(options.readers), "--polls", str(options.polls)]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin
    assert process.stdout
    try:
        if process.stdout.readline() != "ready\n":
            raise SystemExit("the readers did not begin")
        yield
        process.stdin.close()
        heard.append(json.loads(process.stdout.readline()))
        process.wait(20)
    finally:
        process.kill()
        process.wait()


async def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Alternate rounds with and without readers; medians, every round, and what the API's process spent a request."""
    rounds: dict[str, list[Round]] = {"alone": [], "followed": []}
    heard: list[dict] = []
    with tempfile.TemporaryDirectory(prefix="atp-feeds-") as name:
        folder = Path(name)
        async with DevStack(folder / "atp", say=lambda _: None) as endpoints:
            await stock(endpoints, options.skus)
            asks = reserving(Asks(endpoints.api, endpoints.api_key), tuple(f"SKU-{n}" for n in range(options.skus)))

            async def reserve() -> Round:
                pids = {"api": int((folder / "atp" / "run" / "api-1.pid").read_text())}
                return await load.play(folder, endpoints.api, asks, options.connections, options.seconds, pids)

            await reserve()  # the first one is nobody's
            for _ in range(options.rounds):
                rounds["alone"].append(await reserve())
                with contextlib.ExitStack() as stack:
                    await asyncio.to_thread(stack.enter_context, followers(endpoints, options, heard))
                    rounds["followed"].append(await reserve())
    rate = {name: median(r.rate for r in found) for name, found in rounds.items()}
    cpu = {name: median(api_us(r) for r in found) for name, found in rounds.items()}
    return {
        "readers": options.readers, "polls": options.polls, "rounds": rounds, "rate": rate, "api_us": cpu,
        "heard": heard, "ratio": rate["followed"] / rate["alone"], "cpu_ratio": cpu["alone"] / cpu["followed"],
    }  # fmt: skip


def api_us(found: Round) -> float:
    """CPU of the API's process a request, µs: steadier than the rate where others use the machine as well."""
    return found.cpu_us["api"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--readers", type=int, default=2_000)
    parser.add_argument("--polls", type=float, default=0.5, help="share of the readers that are long polls")
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--skus", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--follow", help=argparse.SUPPRESS)
    parser.add_argument("--key", help=argparse.SUPPRESS)
    options = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if options.follow:
        asyncio.run(follow(options.follow, options.key, options.readers, options.polls))
        return
    found = asyncio.run(measure(options))
    if options.json:
        print(msgspec_json.encode(found).decode())
        return
    for name, each in found["rounds"].items():
        for r in each:
            print(f"{name:9} {r.rate:9,.0f}/s  p50 {r.p50_ms:6.2f} ms  p99 {r.p99_ms:6.2f} ms  "
                  f"API {api_us(r):5.0f} µs a request  refused {r.refused}  errors {r.errors}")  # fmt: skip
    print(f"heard {found['heard']}")
    by_cpu = f"by the API's CPU {found['cpu_ratio']:.3f}"
    print(f"followed ÷ alone = {found['ratio']:.3f}, {by_cpu}  ({options.readers} readers)")


if __name__ == "__main__":
    main()
