"""Entries: what happened, in past tense, one gapless ``seq`` per partition.

An entry holds effects, not commands (R35): the record as it is afterwards and the balances it left, so that a rebuild
applies it without deciding again and an answer can be explained at any position. The outbox carries the entries of a
batch together as one msgpack array; the journal stores each as JSON.
"""

from msgspec import Struct, field

from atp.domain.basket_entries import BasketAborted, BasketFollowed, BasketOpened, LegDropped, LegFollowed, LegTaken
from atp.domain.entry import Entry
from atp.domain.journal_entries import EntriesMissing
from atp.domain.order_entries import (
    OrderGivenUp,
    OrderTold,
    ReturnTaken,
    ShipmentNoted,
    UnitsSetAside,
    WaitingServed,
)
from atp.domain.records import Balance, Reservation, Version
from atp.domain.repair_entries import RecordPutBack, Repaired
from atp.domain.source_entries import (
    AuthorityMoved,
    AuthorityReturned,
    FallbackTaken,
    PositionsRecounted,
    SourceHeard,
    SourceRestarted,
    SourceSilent,
    Touched,
)


class LedgerOpened(Entry, array_like=True, tag=1):
    """The first entry of an epoch."""

    epoch: int
    partitions: int
    law: int


class LevelSet(Entry, array_like=True, tag=2):
    """A source's level was taken; ``number`` is the level and the later deltas it does not include."""

    sku: str
    location: str
    source: str
    quantity: int
    number: int
    version: Version
    stream: str
    position: int
    as_of: int
    balances: list[Balance]
    uncertain: bool = False  # deltas that it may not include were forgotten: the lower number was kept (R8)


class DeltaApplied(Entry, array_like=True, tag=3):
    """A source's delta was applied once."""

    sku: str
    location: str
    source: str
    quantity: int
    number: int
    version: Version
    stream: str
    position: int
    as_of: int
    event: int  # 0: units of orders, which left as of the version
    balances: list[Balance]
    of: str = ""  # the source whose number it changed, if another one: an adjuster's authority (R24)


class AuthorityTaken(Entry, array_like=True, tag=4):
    """A location without listed sources took the first source that sent a level as its authority (R24)."""

    location: str
    source: str


class SourceSeen(Entry, array_like=True, tag=5):
    """A source spoke for the first time; from now on it orders its events by ``version_kind``."""

    source: str
    version_kind: str
    generation: int


class CursorMoved(Entry, array_like=True, tag=6):
    """Everything up to ``position`` of the stream is settled in this partition."""

    stream: str
    position: int


class ShortageFound(Entry, array_like=True, tag=7):
    """A source lowered stock below what is held and committed at a position (R28)."""

    sku: str
    location: str
    short_by: int
    policy: str = "report"  # or "revoke_holds"
    victims: str = "newest"  # whom it takes first, or "oldest"


class Victim(Struct, array_like=True):
    """A reservation that may not get its units at a position in shortage."""

    reservation: str
    held: int  # before
    committed: int
    revoked: int  # held units that were given back for it


class ShortageAffected(Entry, array_like=True, tag=8):
    """A page of the reservations that a shortage affects; ``shortage`` is the seq of the entry that found it."""

    sku: str
    location: str
    shortage: int
    victims: list[Victim]
    short_by: int  # now
    last: bool
    through: int = 0  # first seq of the last reservation gone through: where the next page begins


class ShortageClosed(Entry, array_like=True, tag=9):
    """The position's units cover what is promised again."""

    sku: str
    location: str
    shortage: int


class Held(Entry, array_like=True, tag=10):
    """Units were reserved."""

    reservation: Reservation
    balances: list[Balance]
    ticket: str = ""  # of the campaign's waiting room: it lets nothing else in


class Committed(Entry, array_like=True, tag=11):
    """Held units were confirmed to an order."""

    reservation: Reservation
    balances: list[Balance]


class Released(Entry, array_like=True, tag=12):
    """Units were given back."""

    reservation: Reservation
    balances: list[Balance]
    reason: str


class Extended(Entry, array_like=True, tag=13):
    """The deadline moved."""

    reservation: Reservation


class Expired(Entry, array_like=True, tag=14):
    """The deadline passed: what was still held is free again."""

    reservation: Reservation
    balances: list[Balance]


class Fulfilled(Entry, array_like=True, tag=15):
    """Committed units were shipped."""

    reservation: Reservation
    balances: list[Balance]


class Acknowledged(Entry, array_like=True, tag=16):
    """Committed units are counted by the source."""

    reservation: Reservation
    balances: list[Balance]


class Transferred(Entry, array_like=True, tag=17):
    """Units of a line moved to another location."""

    reservation: Reservation
    balances: list[Balance]


class PolicyPut(Entry, array_like=True, tag=20):
    """A policy object was replaced; ``balances`` are the positions whose sellable units it changed."""

    kind: str
    id: str
    body: str
    version: int
    balances: list[Balance]
    skus: list[str] = field(default_factory=list)  # of a campaign: those of this partition


class DeadlinesMoved(Entry, array_like=True, tag=24):
    """Nobody could act for a while: deadlines (with grace) after ``after`` and up to ``through`` count at ``until``.

    Records keep the deadline they have; whoever replays entries moves them by this one (R22).
    """

    after: int
    through: int
    until: int


class ClockApart(Entry, array_like=True, tag=25):
    """The ledger's clock and a sender's differ by more than a minute: batches of this kind expire nothing (R22)."""

    ledger_now: int
    sender_now: int
    process: str


class CampaignOpened(Entry, array_like=True, tag=26):
    """The window of a campaign began; the stock set aside can be bought from now on (R23)."""

    campaign: str
    skus: list[str]


class CampaignClosed(Entry, array_like=True, tag=27):
    """The window of a campaign ended; what is left of the stock set aside is everybody's again (R23)."""

    campaign: str
    skus: list[str]


class ExceptionRaised(Entry, array_like=True, tag=40):
    """Something a person should look at; told once while it is open."""

    kind: str  # domain/exceptions.py
    sku: str
    location: str
    source: str
    reservation: str
    detail: str


class ExceptionResolved(Entry, array_like=True, tag=41):
    """An exception is over: by itself, or by a person's word."""

    kind: str
    raised: int  # seq of the entry that raised it
    resolution: str
    reason: str


class StatusSet(Entry, array_like=True, tag=21):
    """A source said how many units of a position cannot be sold."""

    sku: str
    location: str
    source: str
    unsellable: int
    version: Version
    stream: str
    position: int
    as_of: int
    balances: list[Balance]


class SupplyExpected(Entry, array_like=True, tag=22):
    """A delivery was announced, changed or called off; ``left`` is what of it did not arrive yet."""

    sku: str
    location: str
    source: str
    supply_id: str
    quantity: int
    day: str
    starts_at: int
    version: Version
    stream: str
    position: int
    as_of: int
    left: int
    balances: list[Balance]
    counts: str = ""  # the source whose announcement counts, if it is another one's


class SupplyReceived(Entry, array_like=True, tag=23):
    """Units of a delivery arrived; ``number`` is what the source that says so has now."""

    sku: str
    location: str
    source: str
    supply_id: str
    quantity: int
    left: int
    number: int
    version: Version
    stream: str
    position: int
    as_of: int
    event: int
    balances: list[Balance]
    of: str = ""  # as in DeltaApplied


class Adjusted(Entry, array_like=True, tag=47):
    """A person, as ``client`` and for ``reason``, corrected the number of a location's authority."""

    sku: str
    location: str
    source: str
    quantity: int
    number: int
    version: Version  # right above what the source said last
    event: int
    body: int
    reason: str
    balances: list[Balance]

    @property
    def as_of(self) -> int:
        """A person says nothing of how fresh the source is."""
        return 0


class SnapshotBegun(Entry, array_like=True, tag=60):
    """The first part of a snapshot arrived; its seq is the snapshot's name from here on (R13)."""

    source: str
    snapshot: str  # the source's id of it
    version_kind: str
    version: Version
    parts: int
    full: bool
    locations: list[str]
    as_of: int


class SnapshotPartSeen(Entry, array_like=True, tag=61):
    """A part of a snapshot was begun, or, when ``taken``, all its lines are in their numbers."""

    source: str
    snapshot: int  # seq of its SnapshotBegun
    part: int
    digest: int
    taken: bool


class SnapshotMoved(Entry, array_like=True, tag=62):
    """A snapshot came further: complete, overdue, sweeping, parked, swept, or ended (by a newer one or a person).

    ``counts`` are the locations of which it would zero too much: (location, non-zero positions, those to be zeroed).
    """

    source: str
    snapshot: int
    state: str
    counts: list[tuple[str, int, int]]


AnyEntry = (
    LedgerOpened | LevelSet | DeltaApplied | AuthorityTaken | SourceSeen | CursorMoved | ShortageFound
    | Held | Committed | Released | Extended | Expired | Fulfilled | Acknowledged | Transferred | PolicyPut
    | ShortageAffected | ShortageClosed | DeadlinesMoved | ClockApart
    | OrderTold | WaitingServed | ShipmentNoted | UnitsSetAside | OrderGivenUp | ReturnTaken
    | FallbackTaken | AuthorityReturned | AuthorityMoved | PositionsRecounted
    | SourceSilent | SourceHeard | SourceRestarted | Touched
    | CampaignOpened | CampaignClosed | StatusSet | SupplyExpected | SupplyReceived | Adjusted
    | ExceptionRaised | ExceptionResolved
    | BasketOpened | BasketAborted | BasketFollowed | LegTaken | LegDropped | LegFollowed
    | SnapshotBegun | SnapshotPartSeen | SnapshotMoved | Repaired | RecordPutBack | EntriesMissing
)  # fmt: skip
