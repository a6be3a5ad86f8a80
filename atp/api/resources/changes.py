"""Changes of a reservation: each is applied once per Idempotency-Key (R4)."""

from msgspec import Struct, structs

from atp.api.call import Answer, Call
from atp.api.decoding import Body
from atp.api.problems import NOT_FOUND, Problem
from atp.api.resources.answers import decided
from atp.api.resources.change_bodies import (
    REASON_MAX,
    AcknowledgeBody,
    ChangeBody,
    ConfirmBody,
    ExtendBody,
    FulfilBody,
    ReleaseBody,
    TransferBody,
    change_lines,
    check_confirm,
    check_transfer,
)
from atp.api.resources.requests import canonical, check_identifier, check_text
from atp.api.service import Service
from atp.domain.commands import Acknowledge, Change, Confirm, Extend, Fulfil, Release, Transfer
from atp.domain.identifiers import REF_MAX
from atp.domain.ids import digest53, reservation_partition, shipment_digest
from atp.domain.outcomes import Outcome

_confirm_body = Body(ConfirmBody)
_release_body = Body(ReleaseBody)
_extend_body = Body(ExtendBody)
_fulfil_body = Body(FulfilBody)
_acknowledge_body = Body(AcknowledgeBody)
_transfer_body = Body(TransferBody)


class Asked[B: ChangeBody](Struct, frozen=True):
    """One call: which reservation, with which body, and what makes it the same call when it is repeated."""

    id: str
    body: B
    change: Change


async def confirm(service: Service, call: Call) -> Answer:
    """Turn held units into committed ones, until the deadline (and two seconds of grace).

    After the deadline, `reacquire` takes the units again and confirms them in one step; they may be gone. A confirm of
    everything is refused when a part of it has expired.
    """
    asked = await _asked(service, call, "confirm", _confirm_body)
    body = asked.body
    check_confirm(body)
    lines, ref = change_lines(body.lines), body.order_ref or ""
    command = Confirm(asked.id, asked.change, ref, lines, call.principal.client, call.cause, body.reacquire)
    result = await service.decide(command, call.deadline())
    if body.reacquire and result.reservation is None and result.outcome is Outcome.EXPIRED:
        # The ledger has a tombstone of it, or not even that: its lines are in the journal (R17).
        record = await service.journaled(asked.id)
        if record is not None:
            result = await service.decide(structs.replace(command, record=[record]), call.deadline())
    return decided(service, "confirm", result, body).answer()


async def release(service: Service, call: Call) -> Answer:
    """Give units back."""
    asked = await _asked(service, call, "release", _release_body)
    body = asked.body
    check_text(body.reason, "/reason", REASON_MAX)
    lines, of, reason = change_lines(body.lines), body.of or "", body.reason or ""
    command = Release(asked.id, asked.change, of, lines, reason, call.principal.client, call.cause)
    return await _answer(service, call, body, command)


async def extend(service: Service, call: Call) -> Answer:
    """Move the deadline further away; a hold lives four hours at most."""
    asked = await _asked(service, call, "extend", _extend_body, required=True)
    ttl_ms = asked.body.ttl_seconds * 1000
    command = Extend(asked.id, asked.change, ttl_ms, call.principal.client, call.cause)
    return await _answer(service, call, asked.body, command)


async def fulfil(service: Service, call: Call) -> Answer:
    """Tell that committed units left.

    They stay subtracted from availability, as `shipped_uncounted`, until the number of the location's source shows it.
    One `shipment` counts once, whatever the key.
    """
    asked = await _asked(service, call, "fulfil", _fulfil_body)
    body = asked.body
    check_identifier(body.shipment, "/shipment", REF_MAX)
    lines = change_lines(body.lines)
    shipment = shipment_digest(body.shipment) if body.shipment else 0
    command = Fulfil(asked.id, asked.change, lines, shipment, call.principal.client, call.cause)
    return await _answer(service, call, body, command)


async def acknowledge(service: Service, call: Call) -> Answer:
    """Tell that the stock's source counts committed units.

    Of a source that measures `available`, they are left out from its next level on; of others nothing else changes.
    """
    asked = await _asked(service, call, "acknowledge", _acknowledge_body)
    lines = change_lines(asked.body.lines)
    command = Acknowledge(asked.id, asked.change, lines, call.principal.client, call.cause)
    return await _answer(service, call, asked.body, command)


async def transfer(service: Service, call: Call) -> Answer:
    """Move live units of one line to another location in one step, or not at all.

    Held units go first, and what the first location's source had acknowledged is not acknowledged any more.
    """
    asked = await _asked(service, call, "transfer", _transfer_body, required=True)
    body = asked.body
    check_transfer(body)
    client = call.principal.client
    command = Transfer(
        asked.id, asked.change, body.line_id, body.source, body.target, body.quantity, client, call.cause
    )
    return await _answer(service, call, body, command)


async def _asked[B: ChangeBody](
    service: Service, call: Call, action: str, decoder: Body[B], *, required: bool = False
) -> Asked[B]:
    """What the caller asks for. Where every field may be left out, the body may be, too. Raises Problem."""
    id, key = reservation_in_path(service, call), call.idempotency_key()
    body = decoder.decode(await call.body(required=required) or b"{}")
    await _require_visible(service, call, id)
    change = Change(digest53(call.principal.client, key), digest53(id, action, canonical(body)))
    return Asked(id, body, change)


async def _answer(
    service: Service,
    call: Call,
    body: ChangeBody,
    command: Release | Extend | Fulfil | Acknowledge | Transfer,
) -> Answer:
    result = await service.decide(command, call.deadline())
    return decided(service, type(command).__name__.lower(), result, body).answer()


def reservation_in_path(service: Service, call: Call) -> str:
    """The id in the path; a text that cannot be one is not asked for anywhere. Raises Problem (404)."""
    id = call.param("id")
    if reservation_partition(id, service.ledger.partitions) is None:
        raise Problem(NOT_FOUND, "There is no such reservation.")
    return id


async def _require_visible(service: Service, call: Call, id: str) -> None:
    """A reservation of a channel the client is not bound to does not exist for it (R34); unbound clients see all."""
    if call.principal.channels:
        found = await service.reservation(id)
        if found is not None and not call.principal.sees(found.channel):
            raise Problem(NOT_FOUND, "There is no such reservation.")
