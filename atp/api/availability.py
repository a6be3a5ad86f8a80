"""Availability: how many units could be promised now, and what that number is made of (CONTRACT "Availability")."""

from typing import Annotated, Literal

from msgspec import Meta, Struct, json, msgpack

from atp.api.call import Answer, Call
from atp.api.decoding import Body
from atp.api.requests import DEFAULT_CHANNEL, AvailabilityBody, check_availability
from atp.api.service import Service, now_ms
from atp.domain.ids import digest53, partition_of
from atp.domain.records import LocationStock, SkuStock
from atp.domain.times import rfc3339

_body = Body(AvailabilityBody)
_encode = json.Encoder().encode

#: Pollers may keep an answer, and ask with If-None-Match whether it still holds.
_CACHE = "private, no-cache"


class StockSourceView(Struct, frozen=True, gc=False):
    """Where a location's number comes from."""

    source: str
    as_of: Annotated[str | None, Meta(description="When the number was true, by the source's word.")]
    lag_seconds: Annotated[float, Meta(description="How late the source's last event reached the ledger.")]
    role: Literal["authority"]


class LocationStockView(Struct, frozen=True):
    """One sku at one location.

    `ats` = `on_hand` - `unsellable` - `safety_stock` - `held` - `committed` - `shipped_uncounted`, and never below 0.
    """

    location: str
    ats: Annotated[int, Meta(description="Available to sell; 0 where the location is not active.")]
    on_hand: Annotated[int, Meta(description="Units by the authority's word; may be negative.")]
    unsellable: int
    safety_stock: Annotated[int, Meta(description="Units withheld from sale.")]
    held: Annotated[int, Meta(description="Units reserved until a deadline.")]
    committed: Annotated[int, Meta(description="Units confirmed to orders and not yet shipped.")]
    shipped_uncounted: Annotated[
        int, Meta(description="Units that left, while `on_hand` does not show it yet; subtracted until it does.")
    ]
    sources: list[StockSourceView]


class AvailabilityView(Struct, frozen=True):
    """One sku as one atomic reading. A sku nobody has heard of has no locations and 0 units."""

    sku: str
    channel: str
    ats: Annotated[int, Meta(description="Available to sell: the sum over active locations, none below 0.")]
    held: int
    committed: int
    locations: list[LocationStockView]
    as_of: Annotated[str, Meta(description="When the ledger was read.")]
    position: Annotated[str, Meta(description="`partition:seq` of the last change of this sku.")]
    stale: Annotated[bool, Meta(description="Whether a source has been silent for longer than its policy allows.")]


class AvailabilityList(Struct, frozen=True):
    """In the order of the request."""

    availability: list[AvailabilityView]


async def get_availability(service: Service, call: Call) -> Answer:
    """One sku. `ETag` changes when the numbers do; `If-None-Match` answers 304 while they have not."""
    sku = call.param("sku")
    query = call.query("channel", "location")
    channel, location = query.get("channel", DEFAULT_CHANNEL), query.get("location")
    call.principal.require_channel(channel)
    (stock,) = await service.ledger.availability([sku])
    view = availability_view(sku, stock, channel, location, service.ledger.partitions, now_ms())
    headers = {"etag": _etag(view), "cache-control": _CACHE}
    if headers["etag"].encode() in _etags(call.headers.get(b"if-none-match", b"")):
        return Answer(304, b"", headers)
    return Answer(200, _encode(view), headers)


async def query_availability(service: Service, call: Call) -> Answer:
    """Up to 500 skus at once; each is one atomic reading, the list as a whole is not."""
    body = _body.decode(await call.body())
    check_availability(body)
    channel = body.channel or DEFAULT_CHANNEL
    call.principal.require_channel(channel)
    partitions, now = service.ledger.partitions, now_ms()
    stocks = await service.ledger.availability(body.skus)
    views = [
        availability_view(sku, stock, channel, body.location, partitions, now)
        for sku, stock in zip(body.skus, stocks, strict=True)
    ]
    return Answer(200, _encode(AvailabilityList(views)))


def availability_view(
    sku: str, stock: SkuStock, channel: str, location: str | None, partitions: int, now: int
) -> AvailabilityView:
    """What callers see of ``stock``, of one ``location`` or of all."""
    locations = [_location(at) for at in stock.locations if location in (None, at.balance.location)]
    return AvailabilityView(
        sku,
        channel,
        sum(at.ats for at in locations),
        sum(at.held for at in locations),
        sum(at.committed for at in locations),
        locations,
        rfc3339(now),
        f"{partition_of(sku, partitions)}:{stock.seq}",
        False,
    )


def _location(at: LocationStock) -> LocationStockView:
    b = at.balance
    return LocationStockView(
        b.location,
        max(0, b.free) if at.active else 0,
        b.number,
        b.unsellable,
        b.safety_stock,
        b.held,
        b.committed,
        b.shipped_uncounted,
        [StockSourceView(at.source, rfc3339(at.as_of) if at.as_of else None, at.lag_ms / 1000, "authority")]
        if at.source
        else [],
    )


def _etag(view: AvailabilityView) -> str:
    """Of everything but the times: a policy that changes the numbers without an entry of the sku changes it too."""
    numbers = [
        (at.location, at.ats, at.on_hand, at.unsellable, at.safety_stock, at.held, at.committed,
         at.shipped_uncounted, [source.source for source in at.sources])
        for at in view.locations
    ]  # fmt: skip
    return f'"{digest53(msgpack.encode((view.sku, view.channel, view.position, view.stale, numbers))):x}"'


def _etags(header: bytes) -> list[bytes]:
    """If-None-Match compares weakly: a proxy that compresses marks our tag as weak."""
    return [tag.strip().removeprefix(b"W/") for tag in header.split(b",")]
