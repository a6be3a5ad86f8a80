"""Tickets over HTTP: a place in a campaign's waiting room (CONTRACT "POST /campaigns/{id}/tickets")."""

from typing import Annotated

from msgspec import Meta, Struct, json

from atp.api.call import Answer, Call
from atp.api.decoding import Body
from atp.api.resources.requests import ReserveBody, check_identifier
from atp.api.rooms import expected_at
from atp.api.service import Service
from atp.api.tickets import TEXT_MAX, Bearer
from atp.domain.identifiers import REF_MAX, CustomerRef
from atp.domain.times import rfc3339

#: The request header that shows a ticket.
HEADER = b"atp-ticket"


class TicketBody(Struct, forbid_unknown_fields=True):
    """Who waits. The ticket is good for this customer's reserves alone, by the client that asked for it."""

    customer: CustomerRef


class TicketView(Struct):
    """A ticket, and how its room stands; show it again to learn more, which renews it."""

    ticket: Annotated[str, Meta(description="For the header ATP-Ticket of a reserve, and of this route.")]
    campaign: str
    due: Annotated[bool, Meta(description="Whether a reserve with it is let in now.")]
    ahead: Annotated[int | None, Meta(description="Places before it; null until they are drawn at the start.")]
    waiting: Annotated[int, Meta(description="How many wait, or came early.")]
    not_before: Annotated[str, Meta(description="When the campaign opens.")]
    expected_at: Annotated[str, Meta(description="When it will be due, as far as it can be told.")]
    expires_at: Annotated[str, Meta(description="Until when it is good; showing it renews it.")]


_body = Body(TicketBody)
_encode = json.Encoder().encode


async def make_ticket(service: Service, call: Call) -> Answer:
    """A place in the waiting room of a campaign, as a ticket to be shown by the customer's reserves in it.

    Who comes before the campaign opens takes part in a draw when it does; later ones follow in the order in which they
    came. Show a ticket you have in `ATP-Ticket` to keep its place and hear how the room stands: without it you are new.
    """
    body = _body.decode(await call.body())
    check_identifier(body.customer, "/customer", REF_MAX)
    bearer = Bearer(call.param("id"), call.principal.client, body.customer)
    room, ticket, text = await service.rooms.enter(bearer, shown_ticket(call), call.principal.channels)
    standing = room.standing
    admitted = int(standing.admitted) if standing else 0
    ahead = max(0, ticket.place(standing.early) - admitted) if standing and standing.is_open else None
    view = TicketView(
        text, room.id,
        standing is not None and standing.is_open and ticket.place(standing.early) < admitted,
        ahead,
        standing.arrived - admitted if standing else 0,
        rfc3339(room.policy.opens), rfc3339(expected_at(room, ticket)), rfc3339(ticket.expires_at),
    )  # fmt: skip
    return Answer(201, _encode(view))


def shown_ticket(call: Call) -> str:
    """What the request shows as its ticket, "" if it shows none."""
    return call.headers.get(HEADER, b"")[: TEXT_MAX + 1].decode("latin-1").strip()


async def admitted(service: Service, call: Call, body: ReserveBody) -> str:
    """The ticket that lets a reserve into its campaign, as the law remembers it. Raises Problem (409)."""
    if not body.campaign:
        return ""
    bearer = Bearer(body.campaign, call.principal.client, body.customer or "")
    return await service.rooms.admit(bearer, shown_ticket(call))
