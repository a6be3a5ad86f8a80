"""Entries that no ledger writes: what the journal says of itself."""

from atp.domain.entry import Entry


class EntriesMissing(Entry, array_like=True, tag=63):
    """The journal lost the entries behind ``after`` up to this one's own seq; a baseline has what they left (R20)."""

    after: int
