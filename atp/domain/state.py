"""State: everything the law reads and writes, as the reference keeps it in memory.

One State is one partition. ``rules.py`` decides on it; the Lua library keeps the same things in Valkey
(``ledger/keys.py`` names them), and tests compare the two after every batch.
"""

from msgspec import Struct, field

from atp.domain.commands import TellOrder
from atp.domain.outcomes import Outcome
from atp.domain.projection import Day
from atp.domain.records import Balance, Leg, Reservation, Shortfall, Version

#: Most deltas remembered above the last level of a position and source (R8).
RECENT_MAX = 4_096

#: How many of the oldest are forgotten at once when the memory is full, so that forgetting is rare.
RECENT_CUT = 1_024

#: Refusals are remembered for at least this long, or until as many newer ones came (R18).
REFUSED_MS = 60_000
REFUSED_MAX = 100_000


#: Versions at which one source will count acknowledged units of one position; more wait for nothing (R1).
PENDING_MAX = 1_024


class SourceNumber(Struct):
    """What one source says of one position."""

    number: int = 0  # the level and the deltas above it
    has_level: bool = False
    version: Version = (0, 0, 0)  # of the last level
    tie: int = 0  # its stream position: the higher wins between equal versions (R14)
    floor: Version = (0, 0, 0)  # highest version forgotten from the memory of deltas
    as_of: int = 0
    # event digest, or of what left by orders the version → version, quantity
    recent: dict[int | Version, tuple[Version, int]] = field(default_factory=dict)
    included: int = 0  # acknowledged units that the level counts (R1, R12)
    pending: dict[Version, int] = field(default_factory=dict)  # version → acknowledged units it will count
    unsellable: int = 0
    status: tuple[int, ...] = ()  # version and tie of the last status, in one; () while there was none (R14)
    level_at: int = 0  # ms: when the level was true, where adjusters' changes are compared with it; 0 if unknown
    returned: int = 0  # seq of the fallback that this source's level ended here (R12)
    uncertain: bool = False  # changes that the number may lack are forgotten: it stands on the low side (R8)
    forgotten_at: int = 0  # ms: the newest adjuster's change that was forgotten
    touched: tuple[int, ...] = ()  # since when (ms) the source says it is another one, as of which version (R39)


#: Shipped units that the source has not counted yet are remembered by the minute (R8).
SHIPPED_BUCKET_MS = 60_000

#: A level counts a shipment for certain when it was taken this long after it (R8).
SHIPPED_COUNTED_MS = 60_000


#: A delivery is overdue when its day is over.
OVERDUE_MS = 86_400_000

#: Receipts that a delivery remembers, so that none counts twice.
RECEIPTS_MAX = 64


#: Minutes in which others told of shipments that an allocation keeps apart.
TOLD_MAX = 8

#: Events that units set aside remember, so that none counts twice.
ASIDE_EVENTS_MAX = 32

#: Versions that units set aside of one kind and source are kept apart by.
ASIDES_MAX = 32


class Aside(Struct):
    """Units of a position that cannot be sold, by kind, who said it, and as of which version (R9).

    "short" ones were not on the shelf, until the next level; "unfit" ones came back, and an older status does not
    count them.
    """

    kind: str
    source: str
    version: Version
    minute: int  # ms: when the last of them were set aside
    units: int
    events: list[int] = []


#: Live reservations that one order_ref may name; events speak of the others by their id.
ORDER_IDS_MAX = 64

#: Events about an order that are remembered, so that none counts twice.
ORDER_EVENTS_MAX = 32

#: Orders of which events wait, at most, and for how long.
AWAITED_MAX = 10_000
AWAIT_MS = 900_000


class Order(Struct):
    """Reservations whose home is here by their order_ref, and what was told of them (R9)."""

    ids: list[str] = []  # oldest first
    events: list[int] = []
    waiting: list[tuple[int, TellOrder]] = []  # until when, and what has found no units yet


#: Sources whose last words about one delivery are kept beside the one that counts.
ANNOUNCED_MAX = 8


class Announcement(Struct, array_like=True):
    """What a source said last of a delivery that another source's word counts for (R10)."""

    source: str
    version: tuple[int, ...]
    day: str
    starts_at: int
    quantity: int
    as_of: int


class Supply(Struct):
    """One delivery of a sku to a location, as it was announced, and what of it arrived (R10)."""

    day: str = ""
    starts_at: int = 0
    quantity: int = 0  # all of it
    received: int = 0
    source: str = ""
    version: tuple[int, ...] = ()  # version and tie of the announcement, in one
    receipts: list[int] = []
    told: bool = False  # that it is overdue
    as_of: int = 0  # ms: when the announcement was made, by its source; 0 if unknown
    others: list[Announcement] = []  # of other sources, by source

    def overdue(self, now: int) -> bool:
        """Whether some of it should have come by ``now`` (ms) and did not."""
        return self.left > 0 and now >= self.starts_at + OVERDUE_MS

    @property
    def left(self) -> int:
        """Units still to arrive."""
        return max(0, self.quantity - self.received)


#: Adjustments that one more of them forgets at most, oldest first, once their repeats no longer come.
ADJUSTED_CUT = 2


#: A seller without a ceiling.
NO_CAP = -1

#: Sellers with a floor that one sku may have: what bounds the arithmetic of floors (R11).
PROTECTED_MAX = 8


class Position(Struct):
    """Units of one sku at one location."""

    held: int = 0
    committed: int = 0
    shipped: dict[int, int] = field(default_factory=dict)  # minute (ms) → units that the number may not show yet
    sources: dict[str, SourceNumber] = field(default_factory=dict)
    supply: dict[str, Day] = field(default_factory=dict)  # by day
    aside: list[Aside] = []


class Seller(Struct):
    """A channel's or a campaign's share of one sku (R11, R23)."""

    protection: int = 0  # floor: units kept for it as far as there are any
    cap: int = NO_CAP
    used: int = 0  # held, committed and fulfilled through it, of reservations made after ``since``
    since: int = 0  # seq of the put that began the count
    version: int = 0


class Sku(Struct):
    """What is kept once per sku: policy, last change, who sells it, and where it has stock."""

    seq: int = 0
    policy_version: int = 0
    policy: str = ""  # JSON text of the item policy
    safety_stock: int = 0
    safety_stock_by_location: dict[str, int] = field(default_factory=dict)
    positions: dict[str, Position] = field(default_factory=dict)
    sellers: dict[str, Seller] = field(default_factory=dict)  # by seller name: see domain/sellers.py

    def safety(self, location: str) -> int:
        """Units withheld from sale at one location (R38)."""
        return self.safety_stock_by_location.get(location, self.safety_stock)


class Source(Struct):
    """What is known of a source without any policy: how it orders events, how late they arrive, when it was heard."""

    version_kind: str  # "" while only its heartbeats are known
    generation: int = 1
    lag_ms: int = 0
    last_heard: int = 0  # ms, by the ledger's clock
    beats: bool = False  # it sends heartbeats, so its silence can be told from having nothing to say (R12)
    silent: bool = False
    older: int = 0  # levels in a row that were older than what is known (R14)
    restart: int = 0  # digest of the last call that restarted it


class Location(Struct):
    """Where a location stands beside its policy."""

    fallback: str = ""  # the source that sells beside the silent authority (R12)
    since: int = 0  # seq of the entry that took it, 0 while the authority alone sells
    recheck: int = 0  # seq of the last change of what counts here, until its positions were gone through
    moves: list[tuple[int, int]] = []  # (digest of client and key, of the body) of the last calls that moved it
    before: str = ""  # whose number counted before that change


class Campaign(Struct):
    """Where a campaign stands in this partition: which edges of its window were written, and since when it counts."""

    phase: int  # 0 announced, 1 open, 2 closed
    since: int
    skus: list[str]


class Tombstone(Struct):
    """What is left of an ended reservation: it answers repeats, the journal has the rest (R18)."""

    id: str
    fingerprint: int
    state: str  # released, expired, fulfilled, or fulfilled in part (rules/retention.py)
    seq: int
    changes: list[tuple[int, int]]


class Basket(Struct):
    """At home: a basket that spans partitions. While it is undecided, this is all that home has of it (R3)."""

    id: str
    attempt: int
    call: int
    fingerprint: int
    deadline: int  # ms, 0 once it is decided
    foreign: list[str]  # skus that live in other partitions: their positions are not here


class Refusal(Struct):
    """A remembered refusal: the repeat gets the same answer."""

    fingerprint: int
    outcome: Outcome
    shortfalls: list[Shortfall]
    detail: str


class Shortage(Struct):
    """An open shortage of one position, and how far its reservations were gone through."""

    seq: int  # of the entry that found it
    short_by: int
    policy: str  # "report" or "revoke_holds"
    victims: str  # "newest" or "oldest" first
    found: int = 0  # units of the reservations named so far
    cursor: int = 0  # first seq of the last reservation gone through, 0 before the first page
    done: bool = False


#: A snapshot that is not complete by then is told of (R13).
INCOMPLETE_MS = 1_800_000

#: Earlier snapshots of the same version that are remembered, so that their late parts do not end the later one.
OVER_MAX = 8

#: Locations whose figures an exception names; the entry has all of them.
FIGURES_MAX = 10


class Snapshot(Struct):
    """The last snapshot that a source began, kept until the next, so that repeats of its parts have no effect (R13)."""

    id: str
    seq: int  # of its SnapshotBegun
    version_kind: str
    version: Version
    parts: int
    full: bool
    locations: list[str]
    as_of: int
    since: int
    state: str = "open"  # then "complete"
    overdue: bool = False  # that it is incomplete was told
    arrived: int = 0
    over: list[str] = field(default_factory=list)  # ids of earlier ones of the same version
    digests: dict[int, int] = field(default_factory=dict)  # part → digest of its lines, negative until they are taken


class Sweep(Struct):
    """What is left to do for a complete full snapshot."""

    source: str
    snapshot: str  # the source's id
    version_kind: str
    version: Version
    locations: list[str]
    as_of: int
    state: str = "counting"  # then "sweeping", or "parked" until a person decides
    counts: list[tuple[str, int, int]] = field(default_factory=list)  # why it is parked


class State(Struct):
    """One partition of the ledger."""

    epoch: int = 1
    seq: int = 0
    last_now: int = 0
    policy_version: int = 0
    skus: dict[str, Sku] = field(default_factory=dict)
    supplies: dict[tuple[str, str, str], Supply] = field(default_factory=dict)  # (sku, location, supply id)
    reservations: dict[str, Reservation] = field(default_factory=dict)  # by ids.identity_of
    tombstones: dict[str, Tombstone] = field(default_factory=dict)  # by identity
    ended: list[tuple[int, int, str]] = field(default_factory=list)  # (seq, when, identity) of whole ended records
    buried: list[tuple[int, int, str]] = field(default_factory=list)  # the same of tombstones, oldest first
    trimmed: int = 0  # the journal has everything up to here
    due: dict[str, int] = field(default_factory=dict)  # reservation → deadline with grace, ms
    moved: list[tuple[int, int, int]] = field(default_factory=list)  # (after, through, until): rules/clock.py
    apart: bool = False  # the last batch's sender had another clock
    apart_at: int = 0  # when that was last told
    sources: dict[str, Source] = field(default_factory=dict)
    next_silence: int = 0  # ms: no source falls silent before; 0 if none can
    silence_from: int = 0  # ms: nobody could be heard before (R22)
    locations: dict[str, Location] = field(default_factory=dict)
    authorities: dict[str, str] = field(default_factory=dict)  # location → source, where none is listed (R24)
    policies: dict[tuple[str, str], tuple[int, str]] = field(default_factory=dict)  # (kind, id) → version, body
    orders: dict[str, Order] = field(default_factory=dict)  # by order_ref
    awaited: dict[str, int] = field(default_factory=dict)  # order_ref → when its first waiting event is given up
    shortages: dict[tuple[str, str], Shortage] = field(default_factory=dict)  # by sku and location
    adjusted: dict[int, tuple[int, int, int]] = field(default_factory=dict)  # event → body, seq, when; oldest first
    cursors: dict[str, int] = field(default_factory=dict)
    snapshots: dict[str, Snapshot] = field(default_factory=dict)  # by source; in the first partition
    sweeps: dict[int, Sweep] = field(default_factory=dict)  # by seq of SnapshotBegun; in the first partition
    campaigns: dict[str, Campaign] = field(default_factory=dict)
    holding: dict[tuple[str, str], int] = field(default_factory=dict)  # (channel, customer) → units held now
    buyers: dict[tuple[str, str, str], int] = field(default_factory=dict)  # (campaign, sku, customer) → units
    refused: dict[str, Refusal] = field(default_factory=dict)  # this generation of refusals, by identity
    refused_before: dict[str, Refusal] = field(default_factory=dict)
    refused_since: int = 0

    baskets: dict[str, Basket] = field(default_factory=dict)  # by identity
    legs: dict[str, Leg] = field(default_factory=dict)  # by id of the basket
    undecided: dict[str, int] = field(default_factory=dict)  # id of a basket or leg here → deadline, ms
    contended: dict[tuple[str, str], int] = field(default_factory=dict)  # (sku, location) → units of undecided legs
    following: dict[str, int] = field(default_factory=dict)  # id of a basket → home's seq that not all legs may have
    exceptions: dict[str, int] = field(default_factory=dict)  # by exceptions.subject → seq of the entry that raised it

    def balance(self, sku: str, location: str, authority: str, measure: str) -> Balance:
        """The position as answers and entries show it."""
        item = self.skus.get(sku) or Sku()
        position = item.positions.get(location) or Position()
        source = position.sources.get(authority) or SourceNumber()
        included = source.included if measure == "available" else 0
        return Balance(
            sku, location, source.number, source.unsellable, item.safety(location), position.held, position.committed,
            sum(position.shipped.values()), included, measure, set_aside(position),
        )  # fmt: skip


def set_aside(position: Position) -> int:
    """Units that were not on the shelf; those that came back unfit are among what their source says is unsellable."""
    return sum(x.units for x in position.aside if x.kind == "short")
