"""Rebuilds over HTTP: by hand, and the word that a loss is accepted (R2)."""

from typing import Annotated

from msgspec import Meta, Struct, json

from atp.api.call import Answer, Call
from atp.api.decoding import Body
from atp.api.problems import JOURNAL_UNAVAILABLE, Problem
from atp.api.resources.requests import check_text
from atp.api.service import Service

_REASON_MAX = 256

_encode = json.Encoder().encode


class RebuildBody(Struct, forbid_unknown_fields=True):
    """Whether to sell although acknowledged changes are gone, and why."""

    accept_loss: Annotated[
        bool,
        Meta(description="Open what a loss has closed; where nothing is, what is rebuilt opens all the same."),
    ] = False
    reason: Annotated[str, Meta(min_length=1, max_length=_REASON_MAX)] = "by hand"


class RebuildView(Struct):
    """What was begun. `GET /health/ready` shows how far it is."""

    accepted: Annotated[list[int], Meta(description="Partitions that sell again, their loss being accepted.")]
    rebuilding: Annotated[list[int], Meta(description="Partitions that are made anew now.")]


_body = Body(RebuildBody)


async def rebuild(service: Service, call: Call) -> Answer:
    """Make the ledger anew from the journal. Until that is done every other request is answered `recovering`.

    With `accept_loss`, a ledger that is closed for a loss is opened instead.
    """
    body = _body.decode(await call.body())
    check_text(body.reason, "/reason", _REASON_MAX)
    if service.rebuilds is None:
        raise Problem(JOURNAL_UNAVAILABLE, "A ledger is made of the journal, and this process has none.")
    if body.accept_loss and (accepted := await service.rebuilds.accept(call.principal.client, body.reason)):
        return Answer(202, _encode(RebuildView(accepted, [])))
    service.rebuilds.ask(accept_loss=body.accept_loss)
    return Answer(202, _encode(RebuildView([], list(range(service.ledger.partitions)))))
