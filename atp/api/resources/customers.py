"""Customers: kept as digests, and forgotten on request (R34).

With a deployment key (``ATP_CUSTOMER_KEY``) no store ever has the text that a caller names a customer by: ledger,
journal and events have a digest under the key, the same for the same customer, so that limits per customer hold.
Forgetting takes the digest from the reservations that have ended, so that nothing leads from them to the person, not
even with the key.
"""

import hmac
from base64 import urlsafe_b64encode
from typing import Annotated

import structlog
from msgspec import Meta, Struct, json

from atp.api.call import Answer, Call
from atp.api.resources.history import open_journal
from atp.api.service import Service
from atp.domain.identifiers import REF_MAX

log = structlog.get_logger("atp.api")

_encode = json.Encoder().encode

#: 132 bits: two customers never meet.
_LETTERS = 22


class ForgottenView(Struct):
    """What became of a customer's reservations."""

    forgotten: Annotated[int, Meta(description="Ended reservations that named the customer, and do not any more.")]
    kept: Annotated[
        int, Meta(description="Reservations that still live, or count to an open campaign; ask again when they ended.")
    ]


def pseudonym(key: str, customer: str) -> str:
    """What is kept of a customer: a digest under the key, or the text itself where there is no key."""
    if not key:
        return customer
    return "cu_" + urlsafe_b64encode(hmac.digest(key.encode(), customer.encode(), "sha256")).decode()[:_LETTERS]


async def forget_customer(service: Service, call: Call) -> Answer:
    """Forget a person: reservations of theirs that have ended name no customer any more. It may be repeated."""
    customer = pseudonym(service.settings.customer_key, call.param("id", REF_MAX))
    async with open_journal(service) as journal:
        forgotten, kept = await journal.forget_customer(customer)
    log.info(  # without whom: nothing may lead from here to the person
        "a customer was forgotten", client=call.principal.client, cause=call.cause, forgotten=forgotten, kept=kept
    )
    return Answer(200, _encode(ForgottenView(forgotten, kept)))
