"""Following: what entries did to records, so that records read at different seqs become records of one seq."""

from collections.abc import AsyncIterator, Iterator

from atp.check import counters
from atp.check.counters import Here, Part
from atp.domain.entries import (
    Acknowledged,
    AnyEntry,
    Committed,
    Expired,
    Extended,
    Fulfilled,
    Held,
    LegDropped,
    LegFollowed,
    LegTaken,
    Released,
    SupplyExpected,
    SupplyReceived,
    Transferred,
)
from atp.domain.records import Leg, Reservation
from atp.domain.repair_entries import RecordPutBack
from atp.journal import Journal
from atp.ledger import Ledger

#: Entries read at a time.
_BATCH = 1_000

#: The kind of a record and its name.
Name = tuple[str, ...]


class EntriesGone(Exception):
    """Entries that are neither in the outbox nor in the journal."""


async def entries_between(
    ledger: Ledger, journal: Journal, partition: int, after: int, through: int
) -> AsyncIterator[AnyEntry]:
    """The entries after one seq up to another, from the outbox, and from the journal where it was trimmed.

    Raises EntriesGone, LedgerError, JournalError.
    """
    seq = after
    while seq < through:
        found = await ledger.read_entries(partition, seq, _BATCH)
        if not found or found[0].seq != seq + 1:
            older = await journal.entries_after(partition, seq, _BATCH)
            found = older if older and (not found or older[0].seq < found[0].seq) else found
        if not found:
            raise EntriesGone(f"partition {partition} has no entries between {seq} and {through}")
        for entry in found:
            if entry.seq > through:
                return
            yield entry
            seq = entry.seq


def changes(entry: AnyEntry) -> Iterator[tuple[Name, Reservation | Leg | None]]:
    """Records that an entry changed, None where one is gone; deliveries apart."""
    match entry:
        case (
            Held() | Committed() | Released() | Extended() | Expired()
            | Fulfilled() | Acknowledged() | Transferred()
        ):  # fmt: skip
            yield ("reservation", entry.reservation.id), entry.reservation
            if isinstance(entry, Held):
                yield ("leg", entry.reservation.id), None  # the leg at home is dissolved into it
        case RecordPutBack():
            for record in entry.record:
                yield ("reservation", record.id), record
        case LegTaken() | LegFollowed():
            yield ("leg", entry.leg.id), entry.leg
        case LegDropped():
            yield ("leg", entry.leg.id), None


def deliveries(entry: AnyEntry) -> tuple[Name, str, int, int] | None:
    """A delivery that an entry changed: its name, day ("" if it is the one it had), start (ms), and what is left."""
    match entry:
        case SupplyExpected() as e:
            return ("supply", e.sku, e.location, e.supply_id), e.day, e.starts_at, e.left
        case SupplyReceived() as e:
            return ("supply", e.sku, e.location, e.supply_id), "", 0, e.left
    return None


def parts_of(record: Reservation | Leg | None, here: Here) -> list[Part]:
    """What it adds to counters."""
    if record is None:
        return []
    return list(counters.of_leg(record, here) if isinstance(record, Leg) else counters.of_reservation(record, here))
