"""What the service is asked for, and the same of a reference."""

from collections.abc import Awaitable, Callable
from itertools import chain, cycle, islice

from msgspec import Struct

from atp.bench import shapes
from atp.bench.asks import Ask, Asks
from atp.bench.shapes import Shape
from atp.dev.state import Endpoints

#: Requests a second that nobody has measured yet: so many are made ready where each can be sent only once.
UNKNOWN_RATE = 12_000.0

#: Of twenty requests of a shop: how many look, reserve, and confirm what was reserved.
LOOKS, RESERVES, CONFIRMS = 16, 3, 1
OF_ALL = LOOKS + RESERVES + CONFIRMS

#: Makes at least so many requests as are said, where each can be sent only once.
Prepare = Callable[[Endpoints, Shape, int], Awaitable[list[Ask]]]


class Subject(Struct, frozen=True):
    """One kind of request. ``reserved`` is the share of requests that are new reservations, ``made`` that of those
    which a reservation was made for beforehand."""

    name: str
    shape: str
    prepare: Prepare
    reference: str  # of LIKE
    reserved: float = 0.0
    made: float = 0.0


async def _reserve(endpoints: Endpoints, shape: Shape, count: int) -> list[Ask]:
    return reserving(Asks(endpoints.api, endpoints.api_key), shape.skus)


async def _availability(endpoints: Endpoints, shape: Shape, count: int) -> list[Ask]:
    return looking(Asks(endpoints.api, endpoints.api_key), shape.skus)


async def _unchanged(endpoints: Endpoints, shape: Shape, count: int) -> list[Ask]:
    asks = Asks(endpoints.api, endpoints.api_key)
    tags = await shapes.etags(endpoints, shape.skus)
    return [asks.availability(sku, tag) for sku, tag in zip(shape.skus, tags, strict=True)]


async def _query(endpoints: Endpoints, shape: Shape, count: int) -> list[Ask]:
    return querying(Asks(endpoints.api, endpoints.api_key), shape.skus)


def _change(action: str) -> Prepare:
    async def prepare(endpoints: Endpoints, shape: Shape, count: int) -> list[Ask]:
        asks = Asks(endpoints.api, endpoints.api_key)
        ids = await shapes.reservations(endpoints, shape.skus, count)
        return [asks.change(id, action) for id in ids]

    return prepare


async def _mixed(endpoints: Endpoints, shape: Shape, count: int) -> list[Ask]:
    asks = Asks(endpoints.api, endpoints.api_key)
    ids = await shapes.reservations(endpoints, shape.skus, count // OF_ALL)
    return mixing(asks, shape.skus, [asks.change(id, "confirm") for id in ids])


def reserving(asks: Asks, skus: tuple[str, ...]) -> list[Ask]:
    """One unit of each in turn."""
    return [asks.reserve(sku) for sku in skus]


def looking(asks: Asks, skus: tuple[str, ...]) -> list[Ask]:
    """Each in turn."""
    return [asks.availability(sku) for sku in skus]


def querying(asks: Asks, skus: tuple[str, ...]) -> list[Ask]:
    """All of them at once."""
    return [asks.query(skus)]


def mixing(asks: Asks, skus: tuple[str, ...], changes: list[Ask]) -> list[Ask]:
    """Twenty requests for each of ``changes``, spread evenly, so that connections do not all do the same."""
    looks, reserves = cycle(looking(asks, skus)), cycle(reserving(asks, skus))
    rest = LOOKS // (RESERVES + CONFIRMS)
    return list(
        chain.from_iterable(
            (*islice(looks, rest), kind) for change in changes for kind in (*islice(reserves, RESERVES), change)
        )
    )


def _mixed_reference(asks: Asks, skus: tuple[str, ...]) -> list[Ask]:
    return mixing(asks, skus, reserving(asks, skus))


#: What a reference is asked for beside a subject.
LIKE: dict[str, Callable[[Asks, tuple[str, ...]], list[Ask]]] = {
    "POST": reserving, "GET": looking, "query": querying, "mixed": _mixed_reference,
}  # fmt: skip

SUBJECTS = {
    subject.name: subject
    for subject in (
        Subject("reserve", "one", _reserve, "POST", 1.0),
        Subject("reserve (12 locations)", "twelve", _reserve, "POST", 1.0),
        Subject("confirm", "one", _change("confirm"), "POST", made=1.0),
        Subject("release", "one", _change("release"), "POST", made=1.0),
        Subject("availability", "one", _availability, "GET"),
        Subject("availability (12 locations)", "twelve", _availability, "GET"),
        Subject("availability (unchanged)", "one", _unchanged, "GET"),
        Subject("availability (500 skus)", "many", _query, "query"),
        Subject("mixed", "one", _mixed, "mixed", RESERVES / OF_ALL, CONFIRMS / OF_ALL),
    )
}

#: What the commands measure.
OF = {
    "reserve": ("reserve", "reserve (12 locations)"),
    "mixed": ("mixed", "confirm", "release"),
    "standard": ("reserve", "reserve (12 locations)", "mixed", "availability"),
    "availability": (
        "availability",
        "availability (12 locations)",
        "availability (unchanged)",
        "availability (500 skus)",
    ),
}
