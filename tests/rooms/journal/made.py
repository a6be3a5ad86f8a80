"""Entries made by hand, for tests of the journal alone."""

from atp.domain.entries import (
    Acknowledged,
    AnyEntry,
    Committed,
    CursorMoved,
    DeltaApplied,
    ExceptionRaised,
    ExceptionResolved,
    Fulfilled,
    Held,
    LedgerOpened,
    LevelSet,
    PolicyPut,
    Released,
    ShortageClosed,
    ShortageFound,
    Transferred,
)
from atp.domain.records import Allocation, Balance, Line, Reservation

AT = 1_795_255_200_000  # 2026-11-21T10:00:00Z


def opened(seq: int = 1, epoch: int = 1) -> LedgerOpened:
    return LedgerOpened(seq, AT, "", "", epoch, 1, 1)


def record(id: str, seq: int, first_seq: int, held: int = 2, released: int = 0, order_ref: str = "") -> Reservation:
    lines = [Line("1", "TSHIRT", held + released, [Allocation("DC1", "", held, 0, released=released)])]
    return Reservation(
        id, AT, AT + 600_000, seq, first_seq, 7, "shop", "web", "", order_ref, "", "", lines, [(1 << 52, 2)]
    )


def balance(held: int) -> Balance:
    return Balance("TSHIRT", "DC1", 10, 0, 0, held, 0)


def held(seq: int, id: str = "", at: int = AT) -> Held:
    return Held(seq, at, "shop", "", record(id or f"r{seq}", seq, seq), [balance(2)])


def released(seq: int, id: str, first_seq: int) -> Released:
    return Released(seq, AT, "shop", "", record(id, seq, first_seq, held=0, released=2), [balance(0)], "")


def changed[E: Committed | Acknowledged | Transferred | Fulfilled](kind: type[E], seq: int, id: str, first: int) -> E:
    """One of the changes whose entries hold no more than the record and its balances."""
    reservation = record(id, seq, first, held=0)
    at = Allocation("DC1", "", 0, 0, fulfilled=2) if kind is Fulfilled else Allocation("DC2", "", 0, 2, acknowledged=1)
    reservation.lines[0].allocations = [at]
    return kind(seq, AT, "oms", "", reservation, [Balance("TSHIRT", at.location, 10, 0, 0, 0, at.committed, 1)])


def level(seq: int, quantity: int, sku: str = "TSHIRT") -> LevelSet:
    return LevelSet(seq, AT, "", "", sku, "DC1", "wms", quantity, quantity, (1, 0, seq), "STOCK", seq, AT, [])


def delta(seq: int, quantity: int, number: int, sku: str = "TSHIRT") -> DeltaApplied:
    return DeltaApplied(
        seq, AT, "", "", sku, "DC1", "wms", quantity, number, (1, 0, seq), "STOCK", seq, AT, 99, [balance(0)]
    )


def cursor(seq: int, position: int) -> CursorMoved:
    return CursorMoved(seq, AT, "", "", "STOCK", position)


def policy(seq: int, body: str, version: int) -> PolicyPut:
    return PolicyPut(seq, AT, "admin", "", "location", "DC1", body, version, [])


def run_of(first: int, count: int) -> list[AnyEntry]:
    """``count`` holds from ``first`` on; opens the ledger when it starts at 1."""
    return [opened() if seq == 1 else held(seq) for seq in range(first, first + count)]


def raised(seq: int, kind: str, sku: str) -> ExceptionRaised:
    return ExceptionRaised(seq, AT, "", "", kind, sku, "DC1", "", "", "seen")


def resolved(seq: int, kind: str, raised: int) -> ExceptionResolved:
    return ExceptionResolved(seq, AT, "anna", "", kind, raised, "accepted", "counted again")


def short(seq: int, short_by: int) -> ShortageFound:
    return ShortageFound(seq, AT, "", "", "TSHIRT", "DC1", short_by)


def covered(seq: int, found: int) -> ShortageClosed:
    return ShortageClosed(seq, AT, "", "", "TSHIRT", "DC1", found)
