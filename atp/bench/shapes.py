"""What is sold: shapes of stock (R30), and what rounds need of it beforehand."""

import asyncio
import time
from collections.abc import Iterator
from uuid import uuid4

import nats
from msgspec import Struct, json

from atp.demo.http import Answer, Client, NoAnswer
from atp.dev.state import Endpoints
from atp.ingest import Feed, Settings
from atp.ingest.feed import level

#: Units of a sku whose rounds may not be refused: more than a run can sell.
PLENTY = 100_000_000

#: Units of a sku that is meant to sell out.
FEW = 1_000

#: Skus of one query, the most that it may have.
MANY = 500

_CHANNELS = ("app", "shop")  # protected; rounds sell on another one
_ARRIVES_S = 60.0
_PATIENCE_S = 60.0


class Shape(Struct, frozen=True):
    """Skus that lie in the same locations; ``protected`` have a floor for two channels each."""

    name: str
    skus: tuple[str, ...]
    locations: tuple[str, ...]
    protected: bool = False
    units: int = PLENTY

    @property
    def stock(self) -> int:
        """Units of each sku that were told, over all its locations."""
        return self.units // len(self.locations) * len(self.locations)


def hot(name: str, locations: int, skus: int = 1, units: int = PLENTY) -> Shape:
    """The shapes of R30: ``12`` locations come with protected channels."""
    upper = name.upper()
    return Shape(
        name, tuple(f"{upper}-{n}" for n in range(skus)), tuple(f"{upper}-DC-{n}" for n in range(locations)),
        locations > 1, units,
    )  # fmt: skip


class Unseeded(Exception):
    """Stock or policies did not get in; the text says which."""


async def stock(endpoints: Endpoints, shapes: list[Shape]) -> None:
    """Put the policies through the API, tell the stock over NATS, and wait until it can be sold. Raises Unseeded."""
    client = Client(endpoints.api, endpoints.admin_key)
    for shape in shapes:
        for location in shape.locations:
            await ask(client, "PUT", f"/v1/locations/{location}", {"kind": "warehouse"})
        for sku in shape.skus if shape.protected else ():
            for channel in _CHANNELS:
                await ask(client, "PUT", f"/v1/items/{sku}/channels/{channel}", {"protection": 1_000})
    connection = await nats.connect(endpoints.nats)
    lines = [line for shape in shapes for line in _lines(shape)]
    chunks = [lines[start : start + 1_000] for start in range(0, len(lines), 1_000)]
    await Feed(connection, Settings()).publish(
        [level("wms", f"seed-{n}", chunk, n + 1) for n, chunk in enumerate(chunks)]
    )
    await connection.close()
    try:
        async with asyncio.timeout(_ARRIVES_S):
            while not (await ask(client, "GET", f"/v1/availability/{lines[-1][0]}"))["ats"]:  # noqa: ASYNC110 - asked of it
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise Unseeded(f"the stock that was told could not be sold within {_ARRIVES_S:.0f} s") from None
    client.close()


def _lines(shape: Shape) -> Iterator[tuple[str, str, int]]:
    for sku in shape.skus:
        for location in shape.locations:
            yield sku, location, shape.units // len(shape.locations)


async def ask(client: Client, method: str, path: str, body: object = None, key: str = "") -> dict:
    """The body that answers a request that must succeed. Raises Unseeded."""
    return json.decode((await answered(client, method, path, body, key)).body)


async def answered(client: Client, method: str, path: str, body: object = None, key: str = "") -> Answer:
    """One request that must succeed; while the service is at capacity it is sent again. Raises Unseeded."""
    until = time.monotonic() + _PATIENCE_S
    while True:
        try:
            answer = await client.ask(method, path, json.encode(body) if body is not None else b"", key, 30.0)
        except NoAnswer as error:
            told = f"not answered: {error}"
        else:
            if answer.status < 300:
                return answer
            told = f"answered {answer.status}: {answer.body.decode(errors='replace')}"
            if answer.status != 503:
                raise Unseeded(f"{method} {path} was {told}")
        if time.monotonic() > until:
            raise Unseeded(f"{method} {path} was {told}")
        await asyncio.sleep(0.5)


async def reservations(endpoints: Endpoints, skus: tuple[str, ...], count: int) -> list[str]:
    """The ids of at least as many held ones. What a busy service refuses of a batch is asked for again."""
    ids: list[str] = []
    client, until = Client(endpoints.api, endpoints.api_key), time.monotonic() + _PATIENCE_S
    while len(ids) < count:
        wanted = [
            {"lines": [{"sku": skus[n % len(skus)], "quantity": 1}], "ttl_seconds": 14_400}
            for n in range(len(ids), len(ids) + 100)
        ]
        found = await ask(client, "POST", "/v1/reservations/batch", {"reservations": wanted}, uuid4().hex)
        made = [result["reservation"]["id"] for result in found["results"] if "reservation" in result]
        if made:
            ids, until = ids + made, time.monotonic() + _PATIENCE_S
        elif time.monotonic() > until:
            raise Unseeded(f"no reservation could be made for {_PATIENCE_S:.0f} s: {found['results'][0]}")
    client.close()
    return ids


async def etags(endpoints: Endpoints, skus: tuple[str, ...]) -> list[str]:
    """Of every sku; nothing may sell while they are used."""
    client = Client(endpoints.api, endpoints.api_key)
    answers = [await answered(client, "GET", f"/v1/availability/{sku}") for sku in skus]
    client.close()
    return [answer.headers[b"etag"].decode() for answer in answers]
