"""A retailer beside running servers: policies and stock before the sale, feeders during it, all books after it.

Who buys meanwhile writes into ``books``; that is all the checks know of them.
"""

import asyncio
from collections.abc import Callable
from random import Random

from atp.demo import checks, closing, records
from atp.demo.books import Books
from atp.demo.buyers import Buyer
from atp.demo.checks import Position
from atp.demo.evidence import Evidence, Heads
from atp.demo.feeders import Feeder
from atp.demo.http import Client
from atp.demo.opening import put_policies
from atp.demo.patience import Patience
from atp.demo.retailer import SOURCES, Retailer, build
from atp.demo.settings import Settings
from atp.demo.tally import Tally
from atp.ingest.feed import Feed
from atp.proofs import Check

#: The client whose key buyers use (atp/dev/clients.py); reservation ids are derived from it.
_CLIENT = "dev"
#: Refused requests whose absence is looked up one by one; the journal's check finds any of the others.
_LOOKED_UP_MAX = 500


class Shop:
    """``open``, ``feed`` until the sale is over, ``close``, ``check``; ``say`` hears what is waited for."""

    def __init__(self, settings: Settings, tag: str, evidence: Evidence, say: Callable[[str], None]) -> None:
        self.retailer: Retailer = build(settings, tag)
        self.books = Books()
        self.tally = Tally()
        self._settings = settings
        self._evidence = evidence
        self._say = say
        feed = Feed(evidence.nc)
        self._feeders = [Feeder(name, settings.seed, self.retailer, feed, self.tally) for name in SOURCES]
        self._heads: Heads = {}
        self._starts: dict[str, int] = {}
        self._in_time = self._caught_up = False
        self._last: tuple[int, list[str]] = 0, []

    async def open(self) -> None:
        """Put the policies, and wait until the first stock is counted."""
        evidence = self._evidence
        self._heads = await evidence.ledger_heads()
        self._starts = {stream: await evidence.last_message(stream) for stream in ("ATP", "STOCK_DLQ")}
        self._say("Opening: locations, items, and the first stock.")
        await put_policies(self.retailer, evidence.endpoints.api, evidence.endpoints.admin_key)
        for feeder in self._feeders:
            await feeder.open()
        await closing.until("Waiting until the stock is counted.", self._stock_settled, lambda _: None)

    async def feed(self, stop: asyncio.Event) -> None:
        """Send stock events until ``stop``. Raises FeedLost, in a group."""
        async with asyncio.TaskGroup() as tasks:
            for feeder in self._feeders:
                tasks.create_task(feeder.run(stop))

    async def close(self) -> None:
        """Wait for quiet, and sell the last units of what was wanted most."""
        self._caught_up = await closing.until(
            "Waiting until every stock event is settled.", self._stock_settled, self._say
        )
        self._in_time = await closing.until("Waiting until abandoned holds have expired.", self._holds_ended, self._say)
        self._say("Selling the last units of the hot skus.")
        buyer = self.buyer(self._settings.buyers)
        endpoints = self._evidence.endpoints
        patience = Patience(Client(endpoints.api, endpoints.api_key), self.books, self.tally, Random(0))  # noqa: S311
        self._last = await closing.sell_the_last(buyer, patience, self.books, self.retailer.hot)
        journaled = await closing.until(
            "Waiting for the journal.", lambda: closing.all_journaled(self._evidence), self._say
        )
        self._caught_up = self._caught_up and journaled

    async def check(self) -> list[Check]:
        """Compare all books. What does not hold is in the findings."""
        self._say("Comparing the books.")
        evidence, books, retailer = self._evidence, self.books, self.retailer
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
            checks.stranded(books, stock, self._in_time, self._last),
            checks.answers(books, self.tally.done["replayed"]),
            await records.sequence(evidence, self._caught_up),
            await records.reservations(evidence, books, self._customers),
            await records.levels(evidence, retailer, counts),
            await records.events(evidence, self._starts["ATP"], self._heads),
            await records.dead_letters(evidence, self._starts["STOCK_DLQ"], poison, retailer.tag),
        ]

    def take_over(self, books: Books) -> None:
        """Go on with books that another process kept."""
        self.books = books

    def buyer(self, number: int) -> Buyer:
        """One of the retailer's buyers, with a connection of its own."""
        endpoints = self._evidence.endpoints
        client = Client(endpoints.api, endpoints.api_key)
        return Buyer(number, self._settings.seed, self.retailer, client, self.books, self.tally)

    @property
    def _customers(self) -> str:
        return f"demo-{self.retailer.tag}-%"

    async def _stock_settled(self) -> bool:
        return await closing.stock_settled(self._evidence, max(feeder.position for feeder in self._feeders))

    async def _holds_ended(self) -> bool:
        return await closing.holds_ended(self._evidence, self._customers)
