"""A service with its outbox at work, and readers of its feed that may be killed at any time."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from msgspec import json
from nats.aio.client import Client as Nats

from atp.api import Changes
from tests.rooms.api.conftest import Api, served
from tests.rooms.outbox.room import Room

PATH = "/v1/availability/changes"


@asynccontextmanager
async def process(room: Room, nats: Nats, **names: Any) -> AsyncIterator[Api]:
    """An API process of the room's deployment."""
    changes = Changes(nats, room.settings.stream, room.settings.root)
    ledger = room.ledger_settings
    async with served(ledger.url, ledger.namespace, changes=changes, partitions=ledger.partitions, **names) as api:
        yield api


class Reader:
    """What somebody knows who follows the feed; ``cursor`` is all that outlives it."""

    def __init__(self, api: Api, channel: str = "web", **parameters: Any) -> None:
        self.api = api
        self.ats: dict[str, int] = {}
        self.cursor = ""
        self.pages = 0
        self._parameters = {"channel": channel, **parameters}

    async def fetch(self, **parameters: Any) -> httpx.Response:
        parameters = {**self._parameters, **parameters, **({"after": self.cursor} if self.cursor else {})}
        return await self.api.send("GET", PATH, params=parameters)

    async def read(self, **parameters: Any) -> list[str]:
        """One page; which skus it told of."""
        answer = await self.fetch(**parameters)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        self.pages += 1
        return self.take(page)

    async def read_all(self, **parameters: Any) -> list[str]:
        """Pages as long as there are some; which skus they told of."""
        found: list[str] = []
        while True:
            answer = await self.fetch(**parameters)
            assert answer.status_code == 200, answer.text
            page = answer.json()
            self.pages += 1
            found += self.take(page)
            if not page["more"]:
                return found

    def take(self, page: dict[str, Any]) -> list[str]:
        for change in page["changes"]:
            self.ats[change["sku"]] = change["ats"]
        self.cursor = page["cursor"]
        return [change["sku"] for change in page["changes"]]

    async def agrees(self) -> bool:
        """Whether the reader, after what it can get at once, knows what the ledger says."""
        await self.read_all()
        return self.ats == await ledger_says(self.api, self.ats)


async def ledger_says(api: Api, skus: Any) -> dict[str, int]:
    """The ledger's own numbers."""
    return {stock.sku: stock.ats for stock in await api.ledger.availability(list(skus))}


class Events:
    """A connection to the feed's stream of events, read as a browser does."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._lines = response.aiter_lines()

    @classmethod
    @asynccontextmanager
    async def of(cls, api: Api, last: str = "", **parameters: Any) -> AsyncIterator["Events"]:
        headers = {"authorization": f"Bearer {parameters.pop('key', api.key)}"}
        if last:
            headers["last-event-id"] = last
        path = "/v1/availability/stream"
        async with api.http.stream("GET", path, params=parameters, headers=headers, timeout=30) as response:
            yield cls(response)

    async def next(self) -> tuple[str, dict[str, Any]] | None:
        """(id, page) of the next event; None at the end."""
        id, data = "", ""
        async for line in self._lines:
            name, _, value = line.partition(": ")
            if name == "id":
                id = value
            elif name == "data":
                data = value
            elif not line and data:
                return id, json.decode(data)
        return None
