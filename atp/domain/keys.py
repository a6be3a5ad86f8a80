"""API keys: how they are made and what is kept of them.

A key is ``atp_<prefix>_<secret>``: the prefix finds the client, the secret has 256 random bits. Only the SHA-256 of
the whole text is kept, so a slow password hash would add cost and no safety (research/reliability.md §5).
"""

import re
import secrets
from hashlib import sha256
from typing import Annotated

from msgspec import Meta, Struct

_PREFIX_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
_KEY = re.compile(r"atp_([a-z0-9]{12})_[A-Za-z0-9_-]{43}")

#: The contract's scopes, in the order people read them.
SCOPES = ("availability:read", "reservations:write", "reservations:fulfil", "stock:write", "admin")

#: Live keys of one client: the old and the new one, while its callers change over.
KEYS_MAX = 2


class KeyRecord(Struct):
    """What the ledger keeps of a key."""

    prefix: str
    sha256: str
    created_at: str  # RFC 3339 UTC


#: What quotas are by: reserves, changes of reservations, availability, and all the rest.
QUOTA_CLASSES = ("reserve", "change", "read", "bulk")


class Quota(Struct, frozen=True):
    """So many requests of one class, over all processes: on average, and at once after a pause (R31)."""

    rate: Annotated[float, Meta(gt=0, le=1_000_000, description="Requests a second, on average.")]
    burst: Annotated[
        float, Meta(ge=0, le=10_000_000, description="Requests at once after a pause; 0 is those of a second.")
    ] = 0

    @property
    def size(self) -> float:
        """The burst: what a second allows unless it is given, and at least one request."""
        return max(1.0, self.burst or self.rate)


class Client(Struct):
    """Body of a ``client`` policy: who may call, and for what."""

    scopes: list[str]
    channels: list[str] = []  # bound to these; empty sees all (R34)
    keys: list[KeyRecord] = []
    disabled: bool = False
    sources: list[str] = []  # stock:write for these; empty is all (R34)
    quotas: dict[str, Quota] = {}  # by class; a class that is not named is not limited (R31)


def new_key(created_at: str) -> tuple[str, KeyRecord]:
    """A new key text, to be shown once, and the record to keep."""
    prefix = "".join(secrets.choice(_PREFIX_LETTERS) for _ in range(12))
    text = f"atp_{prefix}_{secrets.token_urlsafe(32)}"
    return text, KeyRecord(prefix, key_hash(text), created_at)


def key_hash(text: str) -> str:
    """Hex SHA-256 of the whole key text."""
    return sha256(text.encode()).hexdigest()


def key_prefix(text: str) -> str | None:
    """The prefix of a well-formed key, else None."""
    match = _KEY.fullmatch(text)
    return match[1] if match else None
