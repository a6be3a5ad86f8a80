"""Entries of the check: what was repaired."""

from msgspec import Struct

from atp.domain.entry import Entry
from atp.domain.records import Balance, Reservation


class Corrected(Struct, array_like=True):
    """One counter, as Correction names it, before and after."""

    counter: str
    name: str
    before: int
    after: int
    value: int = 0  # as Correction has it: when a day of supply begins


class Repaired(Entry, array_like=True, tag=66):
    """Counters of a position, a sku or customers became what the records say.

    ``after`` is what a ledger that is rebuilt from the entries has anyhow: the drift itself is in no entry.
    """

    sku: str
    location: str
    source: str
    raised: int  # seq of the exception that told of the drift
    corrected: list[Corrected]
    balances: list[Balance]


class RecordPutBack(Entry, array_like=True, tag=67):
    """A reservation's deadline and place in its order are what its record says; without a record it has none."""

    id: str
    order_ref: str
    raised: int
    record: list[Reservation]  # one, or none
    balances: list[Balance]
