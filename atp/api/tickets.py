"""Tickets of waiting rooms: signed, stored nowhere, and worthless to anybody but the customer they were made for.

The signature covers campaign, client and customer, which a ticket does not even name: they come from the request that
shows it. Two secrets are good at a time, so that one can be replaced while a room is open; the first one signs.
"""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from collections.abc import Sequence
from hashlib import blake2b
from typing import NamedTuple

import msgspec
from msgspec import Struct

#: Bytes of a signature: 128 bits, which nobody guesses.
_MAC_BYTES = 16

#: Nothing that is longer can be a ticket.
TEXT_MAX = 128

#: Early arrivals draw one of so many numbers, exact in every language.
DRAWS = 2**53


class Bearer(NamedTuple):
    """Whom a ticket is for."""

    campaign: str
    client: str
    customer: str


class Ticket(Struct, array_like=True, frozen=True):
    """A place in a room: drawn, for who came before it opened, else in the order of arrival."""

    early: bool
    number: int  # the draw (0 … DRAWS - 1), or the place itself
    issued_at: int  # ms
    expires_at: int

    def place(self, early: int) -> int:
        """Where it stands, counted from 0, once ``early`` customers came before the start."""
        return self.number * early // DRAWS if self.early else self.number


_encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(Ticket)


def sign(secret: bytes, bearer: Bearer, ticket: Ticket) -> str:
    """The text that the bearer shows."""
    payload = _encode(ticket)
    return urlsafe_b64encode(payload + _mac(secret, bearer, payload)).rstrip(b"=").decode()


def read(secrets: Sequence[bytes], bearer: Bearer, text: str) -> Ticket | None:
    """The ticket, if one of the secrets made it for this bearer; whether it is still good is another question."""
    if len(text) > TEXT_MAX:
        return None
    try:
        raw = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    except (NotBase64, ValueError):
        return None
    payload, mac = raw[:-_MAC_BYTES], raw[-_MAC_BYTES:]
    known = [hmac.compare_digest(mac, _mac(secret, bearer, payload)) for secret in secrets]
    if not any(known) or urlsafe_b64encode(raw).rstrip(b"=").decode() != text:
        return None
    return _decoder.decode(payload)


def draw(secret: bytes, bearer: Bearer) -> int:
    """The bearer's number among those who came early: the same however often they come, and known to nobody before."""
    digest = hmac.digest(secret, _encode(("draw", *bearer)), "sha256")
    return int.from_bytes(digest[:8]) * DRAWS >> 64


def arrival(bearer: Bearer) -> str:
    """Who arrived, for the ledger to count once."""
    return blake2b(_encode(bearer), digest_size=8).hexdigest()


def used_name(bearer: Bearer, ticket: Ticket) -> str:
    """What the ledger remembers of a ticket that let its bearer in; renewing it does not make another one of it."""
    named = blake2b(_encode((*bearer, ticket.early, ticket.number)), digest_size=12)
    return urlsafe_b64encode(named.digest()).decode()


def _mac(secret: bytes, bearer: Bearer, payload: bytes) -> bytes:
    return hmac.digest(secret, _encode(("ticket", *bearer, payload)), "sha256")[:_MAC_BYTES]
