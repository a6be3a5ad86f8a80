"""The references of the ratios, on the server that atp uses: decode and encode the same JSON, and do nothing else.

python -m atp.bench.echo bare|litestar PORT
"""

import sys
from typing import Any

import msgspec
from litestar import Litestar, get, post

from atp.api.resources.requests import ReserveBody
from atp.bench.hosting import host, no_lifespan
from atp.domain.records import Allocation, Line, Reservation
from atp.domain.views import ReservationView, reservation_view

_decode = msgspec.json.Decoder(ReserveBody).decode
_encode = msgspec.json.Encoder().encode
_lines = [Line("1", "SKU-1", 1, [Allocation("DC1", "", 1, 0)])]
_record = Reservation(
    "abcdefghijklmnopqrs", 1_800_000_000_000, 1_800_000_600_000, 1, 1, 1, "dev", "default", "", "", "", "", _lines, []
)
_answer = reservation_view(_record, 0, 1_800_000_000_000)
_created = {"type": "http.response.start", "status": 201, "headers": [(b"content-type", b"application/json")]}
_ok = {**_created, "status": 200}


async def bare(scope: Any, receive: Any, send: Any) -> None:
    """Read, decode, encode, answer; a GET has nothing to decode."""
    if scope["type"] != "http":
        await no_lifespan(receive, send)
        return
    if scope["method"] == "GET":
        await send(_ok)
    else:
        length = int(dict(scope["headers"])[b"content-length"])
        body = (await receive())["body"]
        while len(body) < length:  # the server announces more after the last byte: waiting for it costs a quarter
            body += (await receive())["body"]
        _decode(body)
        await send(_created)
    await send({"type": "http.response.body", "body": _encode(_answer)})


@post("/v1/reservations")
async def reserve(data: ReserveBody) -> ReservationView:
    """A handler as the framework's documentation writes it."""
    return _answer


@get("/v1/availability/{sku:str}")
async def availability(sku: str) -> ReservationView:
    """The same."""
    return _answer


if __name__ == "__main__":
    standard = Litestar([reserve, availability], openapi_config=None, logging_config=None)
    host(bare if sys.argv[1] == "bare" else standard, int(sys.argv[2]))
