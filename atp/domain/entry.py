"""Entry: what every kind of entry has."""

from msgspec import Struct


class Entry(Struct, array_like=True):
    """What every entry has. ``at`` is the ledger's time in ms; ``client`` and ``cause`` say who and by what."""

    seq: int
    at: int
    client: str
    cause: str


def counted_source(entry: Entry) -> str:
    """The source whose number a stock entry is about: an adjuster changes that of the authority (R24)."""
    return getattr(entry, "of", "") or getattr(entry, "source", "")
