"""Entry: what every kind of entry has."""

from msgspec import Struct


class Entry(Struct, array_like=True):
    """What every entry has. ``at`` is the ledger's time in ms; ``client`` and ``cause`` say who and by what."""

    seq: int
    at: int
    client: str
    cause: str
