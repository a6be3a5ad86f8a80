"""Buyers: browse, reserve, then confirm, release, or leave; honest about every answer they got."""

import asyncio
import time
from random import Random

from msgspec import json

from atp.demo import documents
from atp.demo.books import Books, Sale, SoldLine
from atp.demo.clerk import Clerk, Wanted
from atp.demo.http import Client
from atp.demo.patience import Patience, Unsettled
from atp.demo.retailer import Retailer
from atp.demo.tally import Tally

#: Pause between two steps: people think, and this machine also runs the servers.
THINK_S = 0.02

#: Holds of those who mean to buy outlive every outage of a demo; holds of those who leave end while the sale goes on.
_TTL_S = 120
_TTL_ABANDONED_S = (2, 4)
_GRACE_S = 2.0  # how long after its deadline a hold still counts (R17)

_PLANS = {"confirm": 70, "release": 11, "abandon": 10, "split": 9}
_BROWSE, _LOCATED, _REPEAT, _HURRY, _TRY_LESS = 0.4, 0.12, 0.04, 0.01, 0.4
_HURRY_S = 0.002


class Buyer:
    """One customer after another over one connection."""

    def __init__(self, number: int, seed: int, retailer: Retailer, client: Client, books: Books, tally: Tally) -> None:
        self._name = f"{retailer.tag}-{number}"
        self._retailer = retailer
        self._rng = Random(f"buyer {seed} {number}")  # noqa: S311 - a game, no secret
        self._patience = Patience(client, books, tally, Random(f"pauses {seed} {number}"))  # noqa: S311
        self._books = books
        self._clerk = Clerk(books, tally)
        self._tally = tally
        self._keys = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Shop until the sale is over; what was begun is settled first."""
        while not stop.is_set():
            await self.run_once()
            await self._think()

    async def run_once(self) -> None:
        """One visit."""
        wanted = choose(self._retailer, self._rng)
        plan = self._rng.choices(list(_PLANS), list(_PLANS.values()))[0]
        try:
            if self._rng.random() < _BROWSE:
                await self._browse(wanted[0][0].sku)
            await self.buy(wanted, plan)
        except Unsettled:
            pass  # it is in the books

    async def buy(self, wanted: Wanted, plan: str) -> Sale | None:
        """Reserve and do as planned; after a refusal perhaps take what is left."""
        sale, left = await self._reserve(wanted, plan)
        if sale is None and left and self._rng.random() < _TRY_LESS:
            await self._think()
            sale, _ = await self._reserve(left, plan)
        if sale is None:
            return None
        await self._think()
        match plan:
            case "confirm":
                await self._change(sale, "confirm")
            case "release":
                await self._change(sale, "release")
            case "split" if len(sale.lines) > 1:
                await self._change(sale, "confirm", sale.lines[0])
                await self._change(sale, "release")
            case "split":
                await self._change(sale, "confirm")
            case "abandon":
                sale.end("expired")
                self._tally.done["abandoned"] += 1
                self._tally.deadlines.append(sale.ends_after + _GRACE_S)
        return sale

    # -- steps -------------------------------------------------------------------------------------------------------

    async def _browse(self, sku: str) -> None:
        answer = await self._patience.settle("availability", "GET", f"/v1/availability/{sku}")
        self._tally.done["browsed"] += 1
        if answer.status != 200 or documents.availability(answer.body).sku != sku:
            self._books.contradict(f"availability of {sku}: {answer.status}")

    async def _reserve(self, wanted: Wanted, plan: str) -> tuple[Sale | None, Wanted]:
        """The sale, or None and what could be had instead."""
        abandoned = plan == "abandon"
        ttl = self._rng.randint(*_TTL_ABANDONED_S) if abandoned else _TTL_S
        body = reserve_body(wanted, f"demo-{self._name}", ttl)
        key = self._key()
        ends_after = time.monotonic() + ttl
        hurry = _HURRY_S if self._rng.random() < _HURRY else 0.0
        answer = await self._patience.settle("reserve", "POST", "/v1/reservations", body, key, hurry)
        if answer.status == 201:
            sale = self._clerk.sold(answer, wanted, ends_after, key)
            if sale and self._rng.random() < _REPEAT:
                await self._repeat(sale, body, key)
            return sale, []
        return None, self._clerk.refused(answer, wanted, key)

    async def _repeat(self, sale: Sale, body: bytes, key: str) -> None:
        """A retry must be answered with the same reservation."""
        answer = await self._patience.settle("reserve", "POST", "/v1/reservations", body, key)
        self._tally.done["replayed"] += 1
        replayed = answer.headers.get(b"idempotency-replayed") == b"true"
        if answer.status != 201 or not replayed or documents.reservation(answer.body).id != sale.id:
            self._books.contradict(f"the repeat of {sale.id} was answered {answer.status} {answer.body[:200]!r}")

    async def _change(self, sale: Sale, action: str, line: SoldLine | None = None) -> None:
        """Confirm or release one line, or all that is held."""
        body: dict[str, object] = {"order_ref": f"O-{self._name}-{self._keys}"} if action == "confirm" else {}
        if line:
            body["lines"] = [{"line_id": line.line_id, "quantity": line.quantity}]
        raw, key, path = json.encode(body), self._key(), f"/v1/reservations/{sale.id}/{action}"
        answer = await self._patience.settle(action, "POST", path, raw, key)
        if answer.status == 200 and self._rng.random() < _REPEAT:
            answer = await self._patience.settle(action, "POST", path, raw, key)
            self._tally.done["replayed"] += 1
        self._clerk.changed(sale, action, answer, line)

    def _key(self) -> str:
        self._keys += 1
        return f"demo-{self._name}-{self._keys}"

    async def _think(self) -> None:
        await asyncio.sleep(self._rng.expovariate(1 / THINK_S))


def choose(retailer: Retailer, rng: Random) -> Wanted:
    """A basket: mostly one line, of what is popular; some ask for a place."""
    count = rng.choices((1, 2, 3), (70, 20, 10))[0]
    chosen = rng.choices(retailer.on_sale, cum_weights=retailer.popularity, k=count)
    wanted: Wanted = []
    for item in {item.sku: item for item in chosen}.values():
        at = rng.choice(list(item.opening)) if rng.random() < _LOCATED else ""
        wanted.append((item, rng.choices((1, 2, 3), (70, 20, 10))[0], at))
    return wanted


def reserve_body(wanted: Wanted, customer: str, ttl_seconds: int) -> bytes:
    """The request to reserve it."""
    lines = [
        {"sku": item.sku, "quantity": quantity, "line_id": str(number), **({"location": at} if at else {})}
        for number, (item, quantity, at) in enumerate(wanted, 1)
    ]
    return json.encode({"lines": lines, "customer": customer, "ttl_seconds": ttl_seconds})
