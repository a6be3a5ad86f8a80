"""Change: what makes a repeated call the same call."""

from msgspec import Struct


class Change(Struct, array_like=True):
    """Identity of one lifecycle call: digests of (client, key) and of the body (R4)."""

    key: int
    body: int
