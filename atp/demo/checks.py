"""The comparison: what the service says now, against what feeders and buyers know by themselves."""

import asyncio
from collections import Counter, deque
from collections.abc import Iterable
from random import Random

from msgspec import json

from atp.demo import documents
from atp.demo.books import Books, Sale
from atp.demo.http import Client
from atp.demo.patience import Patience
from atp.demo.retailer import Retailer
from atp.demo.tally import Tally
from atp.proofs import Check, finding

_QUERY_SKUS = 200
_AT_ONCE = 8

Position = tuple[str, str]  # sku, location


class Reader:
    """Asks the API, several questions at once, and each until it is answered."""

    def __init__(self, url: str, key: str) -> None:
        self._clients = [Client(url, key) for _ in range(_AT_ONCE)]

    async def stock(self, skus: list[str]) -> dict[Position, documents.Place]:
        """Every position of these skus."""
        found: dict[Position, documents.Place] = {}

        async def query(patience: Patience, chunk: list[str]) -> None:
            body = json.encode({"skus": chunk})
            answer = await patience.settle("query", "POST", "/v1/availability/query", body)
            for item in documents.availability_list(answer.body).availability:
                found.update({(item.sku, at.location): at for at in item.locations})

        await self._each(query, [skus[at : at + _QUERY_SKUS] for at in range(0, len(skus), _QUERY_SKUS)])
        return found

    async def reservations(self, ids: Iterable[str]) -> dict[str, documents.Reservation | int]:
        """Each as it is answered; a status for those that are not."""
        found: dict[str, documents.Reservation | int] = {}

        async def get(patience: Patience, id: str) -> None:
            answer = await patience.settle("get", "GET", f"/v1/reservations/{id}")
            found[id] = documents.reservation(answer.body) if answer.status == 200 else answer.status

        await self._each(get, ids)
        return found

    async def _each(self, ask, questions) -> None:
        waiting = deque(questions)

        async def work(client: Client) -> None:
            patience = Patience(client, Books(), Tally(), Random(0))  # noqa: S311 - of pauses
            while waiting:
                await ask(patience, waiting.popleft())
            client.close()

        async with asyncio.TaskGroup() as tasks:
            for client in self._clients:
                tasks.create_task(work(client))


def oversold(counts: dict[Position, int], books: Books, stock: dict[Position, documents.Place]) -> Check:
    """No position has promised more than its feeder counts."""
    committed = books.units("committed")
    promised = {at: units + (stock[at].held if at in stock else 0) for at, units in committed.items()}
    over = {at: units - counts.get(at, 0) for at, units in promised.items() if units > counts.get(at, 0)}
    sold = sum(committed.values())
    detail = f"{sum(over.values()):,} units of {sold:,} sold over {len(counts):,} positions"
    return finding("oversold", detail, (f"{sku} at {at}: {units} too many" for (sku, at), units in over.items()))


def numbers(
    counts: dict[Position, int], retailer: Retailer, books: Books, stock: dict[Position, documents.Place]
) -> Check:
    """Availability shows the feeder's count, the buyers' commitments, and the difference as free."""
    committed, safety = books.units("committed"), {item.sku: item.safety for item in retailer.items}

    def wrong() -> Iterable[str]:
        for at in counts.keys() | stock.keys():
            seen = stock.get(at)
            number, sold = counts.get(at, 0), committed[at]
            expected = (number, sold, safety[at[0]], max(0, number - safety[at[0]] - sold))
            shown = (seen.on_hand, seen.committed, seen.safety_stock, seen.ats) if seen else None
            if shown != expected:
                yield f"{at[0]} at {at[1]}: (number, committed, safety, free) is {shown}, should be {expected}"

    return finding(
        "availability", f"{len(counts):,} positions show the feeders' count less what buyers bought", wrong()
    )


def lost(books: Books, found: dict[str, documents.Reservation | int]) -> Check:
    """Every acknowledged reservation is there as its buyer knows it."""
    missing = sum(isinstance(answer, int) for answer in found.values())
    differing = [text for id, sale in books.sales.items() if (text := difference(sale, found[id]))]
    detail = f"{missing} of {len(found):,} acknowledged reservations missing, {len(differing) - missing} different"
    return finding("lost", detail, [*books.unsettled, *differing])


def phantoms(books: Books, client: str, found: dict[str, documents.Reservation | int]) -> Check:
    """Nothing exists under a request that was refused for good."""
    there = [id for id, answer in found.items() if answer != 404]
    # Were ids made in another way, looking for those of refused requests would prove nothing.
    strange = [f"{id}: not the id of its request" for id, sale in books.sales.items() if sale.request.id(client) != id]
    return finding("refused", f"{len(there)} of {len(found):,} refused requests left a reservation", [*there, *strange])


def stranded(books: Books, stock: dict[Position, documents.Place], in_time: bool, last: tuple[int, list[str]]) -> Check:
    """Nothing is held for nobody, and the last units can be sold."""
    held = [f"{sku} at {at}: {place.held} held" for (sku, at), place in stock.items() if place.held]
    units = sum(place.held for place in stock.values())
    expired = books.units("expired").total()
    detail = f"{units} units still held, {expired:,} came back by expiry, last {last[0]:,} hot units sold"
    late = [] if in_time else ["holds that are due were not settled within a minute"]
    return finding("stranded", detail, [*late, *held, *last[1]])


def answers(books: Books, replayed: int) -> Check:
    """No answer contradicted the contract or another answer."""
    detail = f"{books.contradicted} of {books.answers:,} answers contradict; {replayed:,} repeats were replayed"
    return finding("answers", detail, books.contradictions)


def difference(sale: Sale, found: documents.Reservation | int) -> str:
    """How the service's reservation differs from the buyer's knowledge; "" if it does not."""
    if isinstance(found, int):
        return f"{sale.id}: answered {found}"
    if found.state != sale.state:
        return f"{sale.id}: is {found.state}, should be {sale.state}"
    lines = [(line.line_id, line.sku, line.quantity, line.places(), ends_of(line)) for line in found.lines]
    mine = [(each.line_id, each.sku, each.quantity, each.allocations, {each.end: each.quantity}) for each in sale.lines]
    return "" if lines == mine else f"{sale.id}: has {lines}, should have {mine}"


def ends_of(line: documents.Line) -> dict[str, int]:
    """State → units, without those of none."""
    states = ("held", "committed", "fulfilled", "released", "expired")
    return {state: units for state in states if (units := getattr(line, state))}


def differences(what: str, expected: Counter[str], found: Counter[str]) -> list[str]:
    """Where two counts disagree."""
    names = sorted(expected.keys() | found.keys())
    return [
        f"{what} {name}: {found[name]}, should be {expected[name]}" for name in names if found[name] != expected[name]
    ]
