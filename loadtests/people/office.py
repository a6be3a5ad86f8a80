"""The back office, a process of its own, because asyncio and locust's gevent do not share one.

    python -m loadtests.people.office <endpoints.json> --skus N --units N --seed N --tag TEXT

Opens the shop, prints the retailer, feeds stock over NATS until standard input has a line with what was bought, then
waits for quiet, compares all books and prints the proof. The end of standard input without a line ends it at once.
"""

import argparse
import asyncio
import sys
from pathlib import Path

import msgspec

from atp import config as settings_of
from atp.demo.evidence import open_evidence
from atp.demo.settings import Settings
from atp.demo.shop import Shop
from atp.dev.state import Endpoints
from loadtests.people.told import Bought, Proof


async def keep(endpoints: Endpoints, settings: Settings, tag: str) -> None:
    """One sale, from the opening to the proof."""
    config = msgspec.structs.replace(
        settings_of.load(), redis_url=endpoints.redis, database_url=endpoints.postgres, nats_url=endpoints.nats
    )
    async with open_evidence(endpoints, config) as evidence:
        shop = Shop(settings, tag, evidence, lambda text: print(text, file=sys.stderr, flush=True))
        await shop.open()
        _tell(shop.retailer)
        stop = asyncio.Event()
        feeding = asyncio.create_task(shop.feed(stop))
        line = await _line()
        stop.set()
        await feeding
        if not line:
            return
        bought = msgspec.json.decode(line, type=Bought)
        shop.take_over(bought.books)
        shop.tally.done["replayed"] = bought.replayed
        await shop.close()
        _tell(Proof(await shop.check(), dict(shop.tally.events)))


async def _line() -> bytes:
    """One line of standard input, however long; a thread of its own may be left waiting when we are ended."""
    reader = asyncio.StreamReader(limit=1 << 30)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return await reader.readline()


def _tell(what: msgspec.Struct) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(what) + b"\n")
    sys.stdout.buffer.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("endpoints", type=Path)
    parser.add_argument("--skus", type=int, required=True)
    parser.add_argument("--units", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--tag", required=True)
    given = parser.parse_args()
    endpoints = msgspec.json.decode(given.endpoints.read_bytes(), type=Endpoints)
    asyncio.run(keep(endpoints, Settings(skus=given.skus, units=given.units, seed=given.seed), given.tag))


if __name__ == "__main__":
    main()
