"""The references of the ratios, on the server that atp uses: decode and encode the same JSON, and do nothing else.

python -m atp.bench.echo bare|litestar PORT
"""

import sys
from typing import Any

import msgspec
from litestar import Litestar, get, post

from atp.api.resources.availability import AvailabilityList
from atp.api.resources.availability_views import AvailabilityView, LocationStockView, StockSourceView
from atp.api.resources.requests import AvailabilityBody, ReserveBody
from atp.bench.hosting import host, no_lifespan
from atp.bench.shapes import MANY
from atp.domain.records import Allocation, Line, Reservation
from atp.domain.views import ReservationView, reservation_view

_encode = msgspec.json.Encoder().encode
_lines = [Line("1", "SKU-1", 1, [Allocation("DC1", "", 1, 0)])]
_record = Reservation(
    "abcdefghijklmnopqrs", 1_800_000_000_000, 1_800_000_600_000, 1, 1, 1, "dev", "default", "", "", "", "", _lines, []
)
_answer = reservation_view(_record, 0, 1_800_000_000_000)
_at = LocationStockView("DC-0", 1, 1, 0, 0, 0, 0, 0, [StockSourceView("wms", None, 0.0, "authority")])
_view = AvailabilityView("SKU-100", "default", 1, 0, 0, [_at], "2027-01-15T08:00:00.000Z", "0:1000000", False)
_list = AvailabilityList([_view] * MANY, None)
_created = {"type": "http.response.start", "status": 201, "headers": [(b"content-type", b"application/json")]}
_ok = {**_created, "status": 200}
_posted = {
    "/v1/reservations": (msgspec.json.Decoder(ReserveBody).decode, _created, _answer),
    "/v1/availability/query": (msgspec.json.Decoder(AvailabilityBody).decode, _ok, _list),
}


async def bare(scope: Any, receive: Any, send: Any) -> None:
    """Read, decode, encode, answer; a GET has nothing to decode."""
    if scope["type"] != "http":
        await no_lifespan(receive, send)
        return
    if scope["method"] == "GET":
        head, answer = _ok, _answer
    else:
        decode, head, answer = _posted[scope["path"]]
        length = int(dict(scope["headers"])[b"content-length"])
        body = (await receive())["body"]
        while len(body) < length:  # the server announces more after the last byte: waiting for it costs a quarter
            body += (await receive())["body"]
        decode(body)
    await send(head)
    await send({"type": "http.response.body", "body": _encode(answer)})


@post("/v1/reservations")
async def reserve(data: ReserveBody) -> ReservationView:
    """A handler as the framework's documentation writes it."""
    return _answer


@get("/v1/availability/{sku:str}")
async def availability(sku: str) -> ReservationView:
    """The same."""
    return _answer


@post("/v1/availability/query", status_code=200)
async def query(data: AvailabilityBody) -> AvailabilityList:
    """The same."""
    return _list


def standard() -> Litestar:
    """An application of these handlers."""
    return Litestar([reserve, availability, query], openapi_config=None, logging_config=None)


if __name__ == "__main__":
    host(bare if sys.argv[1] == "bare" else standard(), int(sys.argv[2]))
