"""Valkey behind a standard Litestar handler: one Lua call per request."""

import sys
from typing import Annotated

from _redis import Reservations, ValkeyPeer
from litestar import Litestar, post
from litestar.exceptions import HTTPException
from msgspec import Meta, Struct

from atp.bench.hosting import host

NAME = "Lua per request, Litestar"


class Line(Struct):
    sku: str
    quantity: Annotated[int, Meta(ge=1)]


class Order(Struct):
    lines: Annotated[list[Line], Meta(min_length=1, max_length=1)]
    ttl_seconds: Annotated[int, Meta(ge=1)] = 600


class Held(Struct):
    id: str
    sku: str
    quantity: int
    state: str = "held"


def application(reservations: Reservations) -> Litestar:
    @post("/v1/reservations")
    async def reserve(data: Order) -> Held:
        (line,) = data.lines
        id = await reservations.reserve(line.sku, line.quantity, data.ttl_seconds)
        if id is None:
            raise HTTPException("nothing is free", status_code=409)
        return Held(id, line.sku, line.quantity)

    return Litestar([reserve], openapi_config=None, logging_config=None)


def start(stack):
    return ValkeyPeer.start(stack, __file__)


if __name__ == "__main__":
    host(application(Reservations(*sys.argv[1:3])), int(sys.argv[3]))
