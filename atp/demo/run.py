"""One run from opening to report."""

import asyncio
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from random import Random

import msgspec

from atp.config import Config
from atp.demo import checks, closing, records
from atp.demo.books import Books
from atp.demo.buyers import Buyer
from atp.demo.checks import Check, Position
from atp.demo.evidence import Evidence, open_evidence
from atp.demo.feeders import Feeder
from atp.demo.http import Client, NoAnswer
from atp.demo.opening import put_policies
from atp.demo.patience import Patience
from atp.demo.report import Report, compose
from atp.demo.retailer import SOURCES, Retailer, build
from atp.demo.settings import Settings
from atp.demo.tally import Tally
from atp.demo.view import View
from atp.demo.watch import Watch
from atp.dev.stack import DevStack
from atp.dev.state import Endpoints, StateDir
from atp.ingest.feed import Feed

#: The client whose key buyers use (atp/dev/clients.py); reservation ids are derived from it.
_CLIENT = "dev"
#: Refused requests whose absence is looked up one by one; the journal's check finds any of the others.
_LOOKED_UP_MAX = 500


async def run(settings: Settings, config: Config, view: View) -> Report:
    """Open, sell, wait for quiet, compare. Raises DevError when the servers cannot be started."""
    began = time.monotonic()
    async with _state_dir(settings, view) as state_dir:
        tag = _tag(settings)
        async with _stack(settings, config, state_dir, view.say) as endpoints:
            config = msgspec.structs.replace(config, redis_url=endpoints.redis, database_url=endpoints.postgres)
            async with open_evidence(endpoints, config) as evidence:
                report = await Promotion(settings, tag, evidence, state_dir / "run", view).run()
    report.total_seconds = round(time.monotonic() - began, 1)
    report.state_dir = str(settings.state_dir or "")
    return report


class Promotion:
    """One sale against running servers."""

    def __init__(self, settings: Settings, tag: str, evidence: Evidence, run_dir: Path, view: View) -> None:
        self._settings = settings
        self._retailer: Retailer = build(settings, tag)
        self._evidence = evidence
        self._view = view
        self._books = Books()
        self._tally = Tally()
        self._watch = Watch(evidence, run_dir, self._retailer.hot, self._tally)
        feed = Feed(evidence.nc)
        self._feeders = [Feeder(name, settings.seed, self._retailer, feed, self._tally) for name in SOURCES]
        self._customers = f"demo-{tag}-%"

    async def run(self) -> Report:
        """The whole. What fails a check is in the report; what raises could not be run."""
        endpoints, evidence, say = self._evidence.endpoints, self._evidence, self._view.say
        heads = await evidence.ledger_heads()
        starts = {stream: await evidence.last_message(stream) for stream in ("ATP", "STOCK_DLQ")}
        say("Opening: locations, items, and the first stock.")
        await put_policies(self._retailer, endpoints.api, endpoints.admin_key)
        for feeder in self._feeders:
            await feeder.open()
        await closing.until("Waiting until the stock is counted.", self._stock_settled, lambda _: None)
        seconds = await self._sell()
        in_time, caught_up, last = await self._close()
        say("Comparing the books.")
        found = await self._check(in_time, caught_up, last, heads, starts)
        return compose(self._settings.seed, seconds, found, self._tally, self._watch.sight.restarts)

    async def _sell(self) -> float:
        """The sale; gives how long it took until the last buyer had an answer."""
        s, stop = self._settings, asyncio.Event()
        self._view.say(f"The sale is on: {s.buyers} buyers, {len(self._retailer.on_sale):,} skus, {s.seconds:g} s.")
        self._tally.started = time.monotonic()
        helpers = [
            asyncio.create_task(self._watch.run()),
            asyncio.create_task(self._view.follow(s.seconds, self._tally, self._watch.sight, self._retailer.hot)),
        ]
        try:
            async with asyncio.TaskGroup() as tasks:
                for feeder in self._feeders:
                    tasks.create_task(feeder.run(stop))
                for number in range(s.buyers):
                    tasks.create_task(self._buyer(number).run(stop))
                await asyncio.sleep(s.seconds)
                stop.set()
        finally:
            for helper in helpers:
                helper.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)
        return time.monotonic() - self._tally.started

    async def _close(self) -> tuple[bool, bool, tuple[int, list[str]]]:
        """Wait for quiet: (holds ended in time, journal caught up, the last units)."""
        say = self._view.say
        settled = await closing.until("Waiting until every stock event is settled.", self._stock_settled, say)
        in_time = await closing.until("Waiting until abandoned holds have expired.", self._holds_ended, say)
        say("Selling the last units of the hot skus.")
        buyer = self._buyer(self._settings.buyers)
        last = await closing.sell_the_last(buyer, self._patience(), self._books, self._retailer.hot)
        caught_up = await closing.until("Waiting for the journal.", lambda: closing.all_journaled(self._evidence), say)
        await self._watch.run_once()
        return in_time, caught_up and settled, last

    async def _check(
        self, in_time: bool, caught_up: bool, last: tuple[int, list[str]], heads: dict[int, int], starts: dict[str, int]
    ) -> list[Check]:
        evidence, books, retailer = self._evidence, self._books, self._retailer
        counts: dict[Position, int] = {at: units for feeder in self._feeders for at, units in feeder.count.items()}
        reader = checks.Reader(evidence.endpoints.api, evidence.endpoints.api_key)
        stock = await reader.stock([item.sku for item in retailer.items])
        known = await reader.reservations(books.sales)
        refused = await reader.reservations([request.id(_CLIENT) for request in books.refused[:_LOOKED_UP_MAX]])
        poison = {feeder.source: feeder.poison for feeder in self._feeders}
        return [
            checks.oversold(counts, books, stock),
            checks.numbers(counts, retailer, books, stock),
            checks.lost(books, known),
            checks.phantoms(books, _CLIENT, refused),
            checks.stranded(books, stock, in_time, last),
            checks.answers(books, self._tally.done["replayed"]),
            await records.sequence(evidence, caught_up),
            await records.reservations(evidence, books, self._customers),
            await records.levels(evidence, retailer, counts),
            await records.events(evidence, starts["ATP"], heads),
            await records.dead_letters(evidence, starts["STOCK_DLQ"], poison, retailer.tag),
        ]

    def _buyer(self, number: int) -> Buyer:
        endpoints = self._evidence.endpoints
        client = Client(endpoints.api, endpoints.api_key)
        return Buyer(number, self._settings.seed, self._retailer, client, self._books, self._tally)

    def _patience(self) -> Patience:
        endpoints = self._evidence.endpoints
        return Patience(Client(endpoints.api, endpoints.api_key), self._books, self._tally, Random(0))  # noqa: S311

    async def _stock_settled(self) -> bool:
        return await closing.stock_settled(self._evidence, max(feeder.position for feeder in self._feeders))

    async def _holds_ended(self) -> bool:
        return await closing.holds_ended(self._evidence, self._customers)


def _tag(settings: Settings) -> str:
    """One run's mark: in a state of its own it follows from the seed, else it is unlike those of earlier runs."""
    return f"s{settings.seed}" if settings.state_dir is None else f"r{time.time_ns() // 1_000_000:x}"


@asynccontextmanager
async def _state_dir(settings: Settings, view: View) -> AsyncIterator[Path]:
    if settings.state_dir is not None:
        yield settings.state_dir
        return
    path = Path(tempfile.mkdtemp(prefix="atp-demo-"))
    try:
        yield path
    finally:
        StateDir(path).empty()  # PostgreSQL's files may have had to live elsewhere
        shutil.rmtree(path, ignore_errors=True)


@asynccontextmanager
async def _stack(
    settings: Settings, config: Config, state_dir: Path, say: Callable[[str], None]
) -> AsyncIterator[Endpoints]:
    """The servers: those that run on this state already, else our own until the end."""
    if (running := await _running(state_dir)) is not None:
        say(f"Using what runs at {running.api}.")
        yield running
        return
    say("Starting Valkey, NATS, PostgreSQL, API, ingest and drain.")
    async with DevStack(state_dir, settings.port, config=config, say=say) as endpoints:
        yield endpoints


async def _running(state_dir: Path) -> Endpoints | None:
    with suppress(OSError, msgspec.DecodeError, NoAnswer):
        endpoints = msgspec.json.decode((state_dir / "endpoints.json").read_bytes(), type=Endpoints)
        client = Client(endpoints.api, endpoints.api_key)
        answer = await client.ask("GET", "/health/ready", timeout_s=5)
        client.close()
        if answer.status == 200:
            return endpoints
    return None
