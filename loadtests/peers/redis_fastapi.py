"""Valkey behind FastAPI, as its documentation writes it: one Lua call per request."""

import sys
from typing import Annotated

from _redis import Reservations, ValkeyPeer
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, Field

from atp.bench.hosting import host

NAME = "Lua per request, FastAPI"


class Line(BaseModel):
    sku: str
    quantity: Annotated[int, Field(ge=1)]


class Order(BaseModel):
    lines: Annotated[list[Line], Field(min_length=1, max_length=1)]
    ttl_seconds: Annotated[int, Field(ge=1)] = 600


class Held(BaseModel):
    id: str
    sku: str
    quantity: int
    state: str = "held"


def application(reservations: Reservations) -> FastAPI:
    app = FastAPI()

    @app.post("/v1/reservations", status_code=201)
    async def reserve(order: Order) -> Held:
        (line,) = order.lines
        id = await reservations.reserve(line.sku, line.quantity, order.ttl_seconds)
        if id is None:
            raise HTTPException(409, "nothing is free")
        return Held(id=id, sku=line.sku, quantity=line.quantity)

    return app


def start(stack):
    return ValkeyPeer.start(stack, __file__)


if __name__ == "__main__":
    host(application(Reservations(*sys.argv[1:3])), int(sys.argv[3]))
