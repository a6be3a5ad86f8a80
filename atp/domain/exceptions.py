"""Exceptions: what a person should look at, by kind. A closed set, because people filter and alarm by it."""

from enum import StrEnum, unique


@unique
class Kind(StrEnum):
    """What kind of thing went wrong; the value is what answers, events and the journal say."""

    SHORTAGE = "shortage"  # supply fell below what is promised (R28)
    CLOCK_APART = "clock-apart"  # a sender's clock and the ledger's differ (R22)
    ORPHAN_SHIPMENT = "orphan-shipment"  # more was shipped than anybody knows an order for (R9)
    ORPHAN_ORDER = "orphan-order"  # an event about an order that never came (R9)
    SHIPPED_ELSEWHERE = "shipped-elsewhere"  # units left from another location than promised (R9)
    SUPPLY_OVERDUE = "supply-overdue"  # a delivery did not come on its day (R10)
    REBASE_WINDOW = "rebase-window"  # a late level lies below the memory of deltas (R8)
    LATE_DELTA = "late-delta"  # a delta older than the memory was not applied (R15)
    SOURCE_SILENT = "source-silent"  # an authority that used to be heard is not (R12)
    SOURCE_UNKNOWN = "source-unknown"  # a source nobody has put spoke (R24)
    SOURCE_REWOUND = "source-rewound"  # a source seems to have lost its sequence (R14)
    SNAPSHOT_GUARD = "snapshot-guard"  # a full snapshot would empty too much (R13)
    SNAPSHOT_INCOMPLETE = "snapshot-incomplete"  # parts of a snapshot never came (R13)
    GAP = "gap"
    LOSS = "loss"  # acknowledged changes are gone (R2)
    DRIFT = "drift"  # counters do not add up
    LATE_DUPLICATE = "late-duplicate"  # an id was used anew after it had been forgotten; the journal finds it (R18)
    JOURNAL_GAP = "journal-gap"  # the journal misses entries (R20)


#: Open exceptions that one partition remembers at most; while they are so many, no more are raised.
OPEN_MAX = 10_000

#: Between the parts of a subject: no identifier contains it (R39).
_BETWEEN = "\x1f"


def subject(kind: str, sku: str, location: str, source: str, reservation: str) -> str:
    """Under which an exception is open: two with the same subject are one."""
    return _BETWEEN.join((kind, sku, location, source, reservation))


def about(subject: str) -> tuple[str, str, str, str, str]:
    """Kind, sku, location, source and reservation of a subject."""
    kind, sku, location, source, reservation = subject.split(_BETWEEN)
    return kind, sku, location, source, reservation
