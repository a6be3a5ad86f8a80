"""Before the doors open: the retailer's policies through the API, as its administrator would put them."""

import asyncio
from collections import deque
from random import Random

from msgspec import json

from atp.demo.books import Books
from atp.demo.http import Client
from atp.demo.patience import Patience
from atp.demo.retailer import PLACES, SOURCES, Retailer
from atp.demo.tally import Tally

_AT_ONCE = 8


class OpeningRefused(Exception):
    """The API did not take a policy; the text shows its answer."""


async def put_policies(retailer: Retailer, url: str, admin_key: str) -> None:
    """Sources, locations, and the items that have rules of their own. Raises OpeningRefused, Unsettled."""
    sources = [(f"/v1/sources/{source}", {"kind": kind, "version": "sequence"}) for kind, source in SOURCES.items()]
    places = [
        (f"/v1/locations/{place.id}", {
            "kind": place.kind,
            "priority": place.priority,
            # The vendor lists none: the first source to send a level becomes its authority.
            "sources": [] if place.kind == "vendor" else [{"source": SOURCES[place.feeder], "role": "authority"}],
        })
        for place in PLACES
    ]  # fmt: skip
    items = [(f"/v1/items/{item.sku}", {"safety_stock": item.safety}) for item in retailer.items if item.safety]
    for group in (sources, places, items):
        waiting = deque(group)
        clients = [Client(url, admin_key) for _ in range(_AT_ONCE)]
        async with asyncio.TaskGroup() as tasks:
            for client in clients:
                tasks.create_task(_put_all(client, waiting))
        for client in clients:
            client.close()


async def _put_all(client: Client, waiting: deque[tuple[str, dict]]) -> None:
    patience = Patience(client, Books(), Tally(), Random(0))  # noqa: S311 - of pauses
    while waiting:
        path, body = waiting.popleft()
        answer = await patience.settle("put", "PUT", path, json.encode(body))
        if answer.status != 200:
            raise OpeningRefused(f"PUT {path} was answered {answer.status}: {answer.body.decode(errors='replace')}")
