"""One run from opening to report."""

import asyncio
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import msgspec

from atp.config import Config
from atp.demo.evidence import Evidence, open_evidence
from atp.demo.http import Client, NoAnswer
from atp.demo.report import Report, compose
from atp.demo.settings import Settings
from atp.demo.shop import Shop
from atp.demo.view import View
from atp.demo.watch import Watch
from atp.dev.stack import DevStack
from atp.dev.state import Endpoints, StateDir


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
        self._view = view
        self._shop = Shop(settings, tag, evidence, view.say)
        self._watch = Watch(evidence, run_dir, self._shop.retailer.hot, self._shop.tally)

    async def run(self) -> Report:
        """The whole. What fails a check is in the report; what raises could not be run."""
        await self._shop.open()
        seconds = await self._sell()
        await self._shop.close()
        await self._watch.run_once()
        found = await self._shop.check()
        return compose(self._settings.seed, seconds, found, self._shop.tally, self._watch.sight.restarts)

    async def _sell(self) -> float:
        """The sale; gives how long it took until the last buyer had an answer."""
        s, shop, stop = self._settings, self._shop, asyncio.Event()
        self._view.say(f"The sale is on: {s.buyers} buyers, {len(shop.retailer.on_sale):,} skus, {s.seconds:g} s.")
        shop.tally.started = time.monotonic()
        helpers = [
            asyncio.create_task(self._watch.run()),
            asyncio.create_task(self._view.follow(s.seconds, shop.tally, self._watch.sight, shop.retailer.hot)),
        ]
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(shop.feed(stop))
                for number in range(s.buyers):
                    tasks.create_task(shop.buyer(number).run(stop))
                await asyncio.sleep(s.seconds)
                stop.set()
        finally:
            for helper in helpers:
                helper.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)
        return time.monotonic() - shop.tally.started


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
