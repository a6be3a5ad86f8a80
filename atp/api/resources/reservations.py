"""Reservations: decode, make the command, submit it, encode what became of it (CONTRACT "Reserve request")."""

import structlog
from msgspec import json

from atp.api.call import Answer, Call
from atp.api.decoding import Body
from atp.api.problems import NOT_FOUND, Problem
from atp.api.resources.answers import decided, view_of
from atp.api.resources.changes import reservation_in_path
from atp.api.resources.customers import pseudonym
from atp.api.resources.requests import (
    DEFAULT_CHANNEL,
    ReserveBody,
    canonical,
    check_replaces,
    check_reserve,
    reserve_lines,
)
from atp.api.resources.ticketing import admitted
from atp.api.service import Service
from atp.domain.commands import Reserve
from atp.domain.ids import digest53, reservation_id

log = structlog.get_logger("atp.api")

_reserve_body = Body(ReserveBody)
_encode = json.Encoder().encode


async def reserve(service: Service, call: Call) -> Answer:
    """Hold units of every line until the deadline, or of none; with `allow_partial`, of what there is.

    The repeat of a request under its Idempotency-Key answers 201 with the reservation as it is now. A dry run answers
    200 with what would be held, stores nothing and needs no key.
    """
    body = _reserve_body.decode(await call.body())
    key = "" if body.dry_run else call.idempotency_key()
    command = reserve_command(service, call, key, body)
    if body.campaign:
        command.ticket = await admitted(service, call, body)
    return decided(service, "reserve", await service.decide(command, call.deadline()), body).answer()


def reserve_command(service: Service, call: Call, key: str, body: ReserveBody) -> Reserve:
    """The command of a decoded request. Raises Problem (400, 403)."""
    lines = reserve_lines(body)
    metadata = check_reserve(body)
    channel = body.channel or DEFAULT_CHANNEL
    call.principal.require_channel(channel)
    client = call.principal.client
    id = reservation_id(client, key, lines[0].sku if len(lines) == 1 else min(line.sku for line in lines))
    if body.replaces is not None:
        check_replaces(body.replaces, id, service.ledger.partitions)
    return Reserve(
        id,
        digest53(canonical(body)),
        client,
        channel,
        pseudonym(service.settings.customer_key, body.customer) if body.customer else "",
        body.order_ref or "",
        body.campaign or "",
        metadata,
        (body.ttl_seconds or 0) * 1000,
        lines,
        call.cause,
        body.allow_partial,
        body.allow_split,
        body.dry_run,
        body.replaces or "",
    )


async def get_reservation(service: Service, call: Call) -> Answer:
    """One reservation, from the ledger while it is known there, else from the journal."""
    id = reservation_in_path(service, call)
    found = await service.reservation(id)
    if found is None or not call.principal.sees(found.channel):
        raise Problem(NOT_FOUND, "There is no such reservation.")
    return Answer(200, _encode(view_of(service, found)))
