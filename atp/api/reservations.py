"""Reservations: decode, make the command, submit it, encode what became of it (CONTRACT "Reserve request")."""

from collections.abc import Sequence

import structlog
from msgspec import json

from atp.api.call import Answer, Call
from atp.api.decoding import Body
from atp.api.problems import JOURNAL_UNAVAILABLE, NOT_FOUND, Problem, refusal
from atp.api.requests import (
    DEFAULT_CHANNEL,
    ChangeLineBody,
    ConfirmBody,
    ExtendBody,
    ReleaseBody,
    ReserveBody,
    canonical,
    change_lines,
    check_confirm,
    check_identifier,
    check_reserve,
    reserve_lines,
)
from atp.api.service import Service, now_ms
from atp.domain.commands import Change, Confirm, Extend, Release, Reserve
from atp.domain.ids import digest53, reservation_id, reservation_partition
from atp.domain.records import Reservation
from atp.domain.results import Result
from atp.domain.views import reservation_view
from atp.journal import JournalError
from atp.telemetry import RESERVATIONS, series

log = structlog.get_logger("atp.api")

_reserve_body = Body(ReserveBody)
_confirm_body = Body(ConfirmBody)
_release_body = Body(ReleaseBody)
_extend_body = Body(ExtendBody)
_encode = json.Encoder().encode

_REPLAYED = {"idempotency-replayed": "true"}


async def reserve(service: Service, call: Call) -> Answer:
    """Hold units of every line until the deadline, or of none.

    The repeat of a request under its Idempotency-Key answers 201 with the reservation as it is now.
    """
    key = call.idempotency_key()
    command = reserve_command(call, key, _reserve_body.decode(await call.body()))
    return _answer(service, "reserve", await service.decide(command, call.deadline()), 201)


def reserve_command(call: Call, key: str, body: ReserveBody) -> Reserve:
    """The command of a checked request. Raises Problem (400, 403)."""
    lines = reserve_lines(body)
    metadata = check_reserve(body)
    channel = body.channel or DEFAULT_CHANNEL
    call.principal.require_channel(channel)
    client = call.principal.client
    return Reserve(
        reservation_id(client, key, min(line.sku for line in lines)),
        digest53(canonical(body)),
        client,
        channel,
        body.customer or "",
        body.order_ref or "",
        "",
        metadata,
        body.ttl_seconds * 1000,
        lines,
        call.cause,
    )


async def confirm(service: Service, call: Call) -> Answer:
    """Turn held units into committed ones, until the deadline (and two seconds of grace)."""
    id, key = _id(service, call), call.idempotency_key()
    raw = await call.body(required=False)
    body = _confirm_body.decode(raw) if raw else ConfirmBody()
    check_confirm(body)
    lines = change_lines(body.lines)
    await _require_visible(service, call, id)
    change = _change(call, key, id, "confirm", canonical(body))
    command = Confirm(id, change, body.order_ref or "", lines, call.principal.client, call.cause)
    return _answer(service, "confirm", await service.decide(command, call.deadline()), 200, body.lines)


async def release(service: Service, call: Call) -> Answer:
    """Give units back."""
    id, key = _id(service, call), call.idempotency_key()
    raw = await call.body(required=False)
    body = _release_body.decode(raw) if raw else ReleaseBody()
    check_identifier(body.reason, "/reason", 256)
    lines = change_lines(body.lines)
    await _require_visible(service, call, id)
    change = _change(call, key, id, "release", canonical(body))
    command = Release(id, change, body.of or "", lines, body.reason or "", call.principal.client, call.cause)
    return _answer(service, "release", await service.decide(command, call.deadline()), 200, body.lines)


async def extend(service: Service, call: Call) -> Answer:
    """Move the deadline further away; a hold lives four hours at most."""
    id, key = _id(service, call), call.idempotency_key()
    body = _extend_body.decode(await call.body())
    await _require_visible(service, call, id)
    change = _change(call, key, id, "extend", canonical(body))
    command = Extend(id, change, body.ttl_seconds * 1000, call.principal.client, call.cause)
    return _answer(service, "extend", await service.decide(command, call.deadline()), 200)


async def get_reservation(service: Service, call: Call) -> Answer:
    """One reservation, from the ledger while it is known there, else from the journal."""
    id = _id(service, call)
    found = await service.ledger.reservation(id) or await _from_journal(service, id)
    if found is None or not call.principal.sees(found.channel):
        raise Problem(NOT_FOUND, "There is no such reservation.")
    return Answer(200, _encode_reservation(service, found))


def _id(service: Service, call: Call) -> str:
    """The id in the path; a text that cannot be one is not asked for anywhere."""
    id = call.param("id")
    if reservation_partition(id, service.ledger.partitions) is None:
        raise Problem(NOT_FOUND, "There is no such reservation.")
    return id


def _change(call: Call, key: str, id: str, action: str, body: bytes) -> Change:
    return Change(digest53(call.principal.client, key), digest53(id, action, body))


async def _require_visible(service: Service, call: Call, id: str) -> None:
    """A reservation of a channel the client is not bound to does not exist for it (R34); unbound clients see all."""
    if call.principal.channels:
        found = await service.ledger.reservation(id)
        if found is not None and not call.principal.sees(found.channel):
            raise Problem(NOT_FOUND, "There is no such reservation.")


async def _from_journal(service: Service, id: str) -> Reservation | None:
    """Whether it exists cannot be told without the journal, so its absence is not answered with 404."""
    try:
        if service.journal is not None:
            return await service.journal.reservation(id)
    except JournalError as error:
        log.warning("the journal could not be asked for a reservation", error=type(error).__name__)
    raise Problem(JOURNAL_UNAVAILABLE, "The ledger does not hold this reservation, and the journal cannot be asked.")


def _answer(
    service: Service, action: str, result: Result, status: int, lines: Sequence[ChangeLineBody] | None = None
) -> Answer:
    series(RESERVATIONS, action, result.outcome.name.lower()).inc()
    if not result.outcome.accepted:
        raise refusal(result, _pointer(lines, result.detail))
    assert result.reservation is not None, "an accepted command answers with its reservation"
    return Answer(status, _encode_reservation(service, result.reservation), _REPLAYED if result.replayed else {})


def _pointer(lines: Sequence[ChangeLineBody] | None, line_id: str) -> str:
    """Where the body names the line that a refusal speaks of."""
    return next((f"/lines/{i}/line_id" for i, line in enumerate(lines or ()) if line.line_id == line_id), "")


def _encode_reservation(service: Service, found: Reservation) -> bytes:
    partition = reservation_partition(found.id, service.ledger.partitions)
    assert partition is not None, "ids of stored reservations are well-formed"
    return _encode(reservation_view(found, partition, now_ms()))
