"""Rows: what a batch of entries writes to which table.

Every table but ``entries`` holds the newest state, so a batch is first folded to the last word on each key; that also
is what lets one INSERT … ON CONFLICT take a whole batch, for it may touch a row only once.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from msgspec import Struct, field, json

from atp.domain.entries import (
    Acknowledged,
    Adjusted,
    AnyEntry,
    AuthorityMoved,
    AuthorityReturned,
    AuthorityTaken,
    BasketAborted,
    BasketFollowed,
    BasketOpened,
    CampaignClosed,
    CampaignOpened,
    ClockApart,
    Committed,
    CursorMoved,
    DeadlinesMoved,
    DeltaApplied,
    EntriesMissing,
    ExceptionRaised,
    ExceptionResolved,
    Expired,
    Extended,
    FallbackTaken,
    Fulfilled,
    Held,
    LedgerOpened,
    LegDropped,
    LegFollowed,
    LegTaken,
    LevelSet,
    OrderGivenUp,
    OrderTold,
    PolicyPut,
    PositionsRecounted,
    RecordPutBack,
    Released,
    Repaired,
    ReturnTaken,
    ShipmentNoted,
    ShortageAffected,
    ShortageClosed,
    ShortageFound,
    SnapshotBegun,
    SnapshotMoved,
    SnapshotPartSeen,
    SourceHeard,
    SourceRestarted,
    SourceSeen,
    SourceSilent,
    StatusSet,
    SupplyExpected,
    SupplyReceived,
    Touched,
    Transferred,
    UnitsSetAside,
    WaitingServed,
)
from atp.domain.entry import counted_source
from atp.domain.exceptions import Kind
from atp.domain.records import Reservation

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

#: PostgreSQL keeps no NUL in text or jsonb, and a row it refuses would stop the journal for good. Identifiers cannot
#: contain one (R39); should one slip through elsewhere, it is stored as the replacement character.
_ESCAPED_NUL = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")

#: Kind and subject of the entry that stands for entries the journal lost.
MISSING = "entries-missing"

KINDS: dict[type, str] = {
    LedgerOpened: "ledger-opened",
    LevelSet: "level-set",
    DeltaApplied: "delta-applied",
    AuthorityTaken: "authority-taken",
    SourceSeen: "source-seen",
    FallbackTaken: "fallback-taken",
    AuthorityReturned: "authority-returned",
    AuthorityMoved: "authority-moved",
    SourceSilent: "source-silent",
    SourceHeard: "source-heard",
    SourceRestarted: "source-restarted",
    Touched: "touched",
    PositionsRecounted: "positions-recounted",
    CursorMoved: "cursor-moved",
    ShortageFound: "shortage-found",
    ShortageAffected: "shortage-affected",
    ShortageClosed: "shortage-closed",
    Held: "held",
    Committed: "committed",
    Released: "released",
    Extended: "extended",
    Expired: "expired",
    Fulfilled: "fulfilled",
    Acknowledged: "acknowledged",
    Transferred: "transferred",
    PolicyPut: "policy-put",
    DeadlinesMoved: "deadlines-moved",
    ClockApart: "clock-apart",
    CampaignOpened: "campaign-opened",
    CampaignClosed: "campaign-closed",
    StatusSet: "status-set",
    SupplyExpected: "supply-expected",
    SupplyReceived: "supply-received",
    SnapshotBegun: "snapshot-begun",
    SnapshotPartSeen: "snapshot-part-seen",
    SnapshotMoved: "snapshot-moved",
    Adjusted: "adjusted",
    Repaired: "repaired",
    RecordPutBack: "record-put-back",
    OrderTold: "order-told",
    ShipmentNoted: "shipment-noted",
    UnitsSetAside: "units-set-aside",
    OrderGivenUp: "order-given-up",
    WaitingServed: "waiting-served",
    ReturnTaken: "return-taken",
    BasketOpened: "basket-opened",
    BasketAborted: "basket-aborted",
    BasketFollowed: "basket-followed",
    LegTaken: "leg-taken",
    LegDropped: "leg-dropped",
    LegFollowed: "leg-followed",
    ExceptionRaised: "exception-raised",
    ExceptionResolved: "exception-resolved",
    EntriesMissing: MISSING,
}

ENTRY_COLUMNS = ("partition", "seq", "at", "kind", "subject", "client", "cause", "body")

RESERVATION_COLUMNS = (
    "partition", "id", "first_seq", "updated_seq", "state", "client", "channel", "customer", "order_ref", "created_at",
    "expires_at", "skus", "body",
)  # fmt: skip

TOUCHED_COLUMNS = ("sku", "location", "partition", "seq", "after")


class LevelRow(Struct):
    """The last word on one position of one source; None leaves what the table has."""

    seq: int
    number: int
    quantity: int | None = None
    version: tuple[int, int, int] | None = None
    as_of: int = 0


class Rows(Struct):
    """One batch, table by table."""

    entries: list[tuple[Any, ...]] = []
    reservations: dict[tuple[str, int], Reservation] = field(default_factory=dict)
    begun: list[tuple[str, int]] = []  # (id, first seq) of the reservations whose first entry is here
    levels: dict[tuple[str, str, str], LevelRow] = field(default_factory=dict)
    policies: dict[tuple[str, str], tuple[int, str]] = field(default_factory=dict)
    positions: dict[str, int] = field(default_factory=dict)
    touched: dict[tuple[str, str], int] = field(default_factory=dict)  # (sku, location) → last seq with its balance
    raised: list[tuple[Any, ...]] = []  # exceptions: seq, at, kind, sku, location, source, reservation, detail
    resolved: list[tuple[Any, ...]] = []  # seq of the raising entry, at, resolution, client, reason
    epoch: int = 0

    def begun_records(self, partition: int) -> list[tuple[Any, ...]]:
        """Records of ``reservations`` for those that begin here."""
        return [
            _storable((
                partition, r.id, r.first_seq, r.seq, r.state, r.client, r.channel, r.customer, r.order_ref,
                instant(r.created_at), instant(r.expires_at), list(dict.fromkeys([line.sku for line in r.lines])),
                json.encode(r),
            ))
            for r in map(self.reservations.__getitem__, self.begun)
        ]  # fmt: skip

    def reservation_columns(self, records: Iterable[Reservation]) -> list[list[Any]]:
        """Parameters of ``save_reservations`` after the partition."""
        rows = [
            _storable((
                r.id, r.first_seq, r.seq, r.state, r.client, r.channel, r.customer, r.order_ref,
                r.created_at, r.expires_at, "\x1f".join(dict.fromkeys([line.sku for line in r.lines])),
                json.encode(r),
            ))
            for r in records
        ]  # fmt: skip
        return _columns(rows, 12)

    def level_columns(self) -> list[list[Any]]:
        """Parameters of ``save_levels`` after the partition."""
        rows = (
            (
                *key,
                row.seq,
                row.quantity,
                row.number,
                *(row.version or (None,) * 3),
                instant(row.as_of) if row.as_of else None,
            )
            for key, row in self.levels.items()
        )
        return _columns(map(_without_nul, rows), 10)

    def policy_columns(self) -> list[list[Any]]:
        """Parameters of ``save_policies``."""
        return _columns((_without_nul((*key, *row)) for key, row in self.policies.items()), 4)

    def touched_records(self, partition: int, after: int) -> list[tuple[Any, ...]]:
        """Records of ``position_changes``; ``after`` is the watermark before the batch."""
        records = [(sku, at, partition, seq, after) for (sku, at), seq in self.touched.items()]
        return list(map(_without_nul, records)) if any("\0" in sku + at for sku, at in self.touched) else records

    def raise_exception(self, seq: int, at: int, subject: tuple[str, ...], detail: dict[str, Any]) -> None:
        """An older one of the batch on the same subject is superseded; those before the batch the database knows."""
        older = (row[0] for row in self.raised if row[2:7] == subject)
        self.resolved += [(other, instant(at), "superseded", "", "") for other in older]
        self.raised.append((seq, instant(at), *subject, _json(detail)))

    def raised_columns(self) -> list[list[Any]]:
        """Parameters of ``raise_exceptions`` after the partition."""
        return _columns(map(_without_nul, self.raised), 8)

    def resolved_columns(self) -> list[list[Any]]:
        """Parameters of ``resolve_exceptions`` after the partition."""
        return _columns(map(_without_nul, self.resolved), 5)

    def position_columns(self) -> list[list[Any]]:
        """Parameters of ``save_stream_positions`` after the partition."""
        return _columns(self.positions.items(), 2)


def fold(partition: int, entries: Sequence[AnyEntry]) -> Rows:
    """What ``entries``, in order, leave in each table."""
    rows = Rows()
    for entry in entries:
        rows.entries.append(_entry_row(partition, entry))
        for b in getattr(entry, "balances", ()):
            rows.touched[b.sku, b.location] = entry.seq
        match entry:
            case (
                Held() | Committed() | Released() | Extended() | Expired()
                | Fulfilled() | Acknowledged() | Transferred()
            ):  # fmt: skip
                record = entry.reservation
                rows.reservations[record.id, record.first_seq] = record
                if record.first_seq == entry.seq:
                    rows.begun.append((record.id, record.first_seq))
            case RecordPutBack():
                for record in entry.record:
                    rows.reservations[record.id, record.first_seq] = record
            case Repaired():
                for x in [x for x in entry.corrected if x.counter == "number"]:
                    row = rows.levels.setdefault((entry.sku, entry.location, entry.source), LevelRow(0, 0))
                    row.seq, row.number = entry.seq, x.after
            case LevelSet():
                key = (entry.sku, entry.location, entry.source)
                rows.levels[key] = LevelRow(entry.seq, entry.number, entry.quantity, entry.version, entry.as_of)
            case DeltaApplied() | SupplyReceived() | ReturnTaken() | Adjusted():
                key = (entry.sku, entry.location, counted_source(entry))
                row = rows.levels.setdefault(key, LevelRow(0, 0))
                row.seq, row.number = entry.seq, entry.number
                row.as_of = entry.as_of or row.as_of
            case PolicyPut():
                rows.policies[entry.kind, entry.id] = (entry.version, entry.body)
            case CursorMoved():
                rows.positions[entry.stream] = max(entry.position, rows.positions.get(entry.stream, 0))
            case LedgerOpened():
                rows.epoch = entry.epoch
            case ExceptionRaised() as e:
                subject = (e.kind, e.sku, e.location, e.source, e.reservation)
                rows.raise_exception(e.seq, e.at, subject, {"detail": e.detail})
            case ShortageFound() as e:
                subject = (Kind.SHORTAGE.value, e.sku, e.location, "", "")
                rows.raise_exception(e.seq, e.at, subject, {"short_by": e.short_by, "policy": e.policy})
            case ExceptionResolved() as e:
                rows.resolved.append((e.raised, instant(e.at), e.resolution, e.client, e.reason))
            case ShortageClosed() as e:
                rows.resolved.append((e.shortage, instant(e.at), "over", "", ""))
            case (
                FallbackTaken() | AuthorityReturned() | AuthorityMoved()
                | SourceSilent() | SourceHeard() | SourceRestarted() | PositionsRecounted() | Touched()
                | AuthorityTaken() | SourceSeen()
                | CampaignOpened() | CampaignClosed() | DeadlinesMoved() | ClockApart()
                | ShortageAffected() | StatusSet() | SupplyExpected()
                | OrderTold() | WaitingServed() | ShipmentNoted() | UnitsSetAside() | OrderGivenUp()
                | BasketOpened() | BasketAborted() | BasketFollowed() | LegTaken() | LegDropped() | LegFollowed()
                | SnapshotBegun() | SnapshotPartSeen() | SnapshotMoved() | EntriesMissing()
            ):  # fmt: skip
                pass  # their entry is all there is to keep
    return rows


def subject_of(entry: AnyEntry) -> str:
    """What the entry is about, for its history."""
    match entry:
        case (
            Held() | Committed() | Released() | Extended() | Expired()
            | Fulfilled() | Acknowledged() | Transferred()
        ):  # fmt: skip
            return entry.reservation.id
        case OrderTold():
            return entry.order or entry.reservation
        case OrderGivenUp() | WaitingServed():
            return entry.order
        case RecordPutBack():
            return entry.id
        case BasketOpened() | BasketAborted() | BasketFollowed():
            return entry.id
        case LegTaken() | LegDropped() | LegFollowed():
            return entry.leg.id
        case (
            LevelSet() | DeltaApplied() | StatusSet() | SupplyExpected() | SupplyReceived() | Adjusted()
            | ShipmentNoted() | UnitsSetAside() | ReturnTaken()
            | ShortageFound() | ShortageAffected() | ShortageClosed() | AuthorityReturned() | Repaired() | Touched()
        ):  # fmt: skip
            return entry.sku
        case AuthorityTaken() | AuthorityMoved() | FallbackTaken() | PositionsRecounted():
            return entry.location
        case (
            SourceSeen() | SourceSilent() | SourceHeard() | SourceRestarted()
            | SnapshotBegun() | SnapshotPartSeen() | SnapshotMoved()
        ):  # fmt: skip
            return entry.source
        case CursorMoved():
            return entry.stream
        case PolicyPut():
            return f"{entry.kind}:{entry.id}"
        case ClockApart():
            return entry.process
        case ExceptionRaised():
            return entry.reservation or entry.sku or entry.location or entry.source
        case ExceptionResolved():
            return entry.kind
        case CampaignOpened() | CampaignClosed():
            return entry.campaign
        case EntriesMissing():
            return MISSING
        case LedgerOpened() | DeadlinesMoved():
            return ""


@lru_cache(maxsize=4096)  # the entries of a batch share theirs
def instant(at_ms: int) -> datetime:
    """Milliseconds since the epoch as what asyncpg takes for timestamptz."""
    return _EPOCH + timedelta(milliseconds=at_ms)


def _entry_row(partition: int, entry: AnyEntry) -> tuple[Any, ...]:
    return _storable((
        partition, entry.seq, instant(entry.at), KINDS[type(entry)], subject_of(entry), entry.client, entry.cause,
        json.encode(entry),
    ))  # fmt: skip


def _json(value: Struct | dict[str, Any]) -> bytes:
    return _cleaned(json.encode(value))


def _cleaned(body: bytes) -> bytes:
    return _ESCAPED_NUL.sub(rb"\1\\ufffd", body) if b"\\u0000" in body else body


def _storable(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """``row``, whose last value is the JSON of what its texts are from: only where that has a NUL can they have one."""
    return row if b"\\u0000" not in row[-1] else _without_nul((*row[:-1], _cleaned(row[-1])))


def _without_nul(row: tuple[Any, ...]) -> tuple[Any, ...]:
    for value in row:
        if type(value) in (str, list) and "\0" in "".join(value):
            return tuple(map(_without_nul_in, row))
    return row


def _without_nul_in(value: Any) -> Any:
    if type(value) is str:
        return value.replace("\0", "\ufffd")
    return list(map(_without_nul_in, value)) if type(value) is list else value


def _columns(rows: Iterable[tuple[Any, ...]], width: int) -> list[list[Any]]:
    columns = [list(column) for column in zip(*rows, strict=True)]
    return columns or [[] for _ in range(width)]
