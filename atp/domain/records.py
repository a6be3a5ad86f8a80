"""Records: what the ledger keeps, as plain structs.

All are ``array_like``: the same arrays are stored in the ledger, sent in replies and kept inside entries, so no layer
translates them. Fields are only ever appended, and the first slot of a stored record is a format byte (R35).
No field is None, because a None inside an array does not survive the Lua border (research/spikes.md §4).
"""

from msgspec import Struct

#: Format of stored records and of entries; a release reads its own and the one before (R35).
FORMAT = 1

#: A hold counts, and can be confirmed, this long after ``expires_at`` (R17).
GRACE_MS = 2_000

#: How long a hold lives when neither the request, the channel nor a campaign says it (CONTRACT "Reservation").
DEFAULT_TTL_MS = 600_000

#: (generation, high 32 bits, low 32 bits): an unsigned 63-bit version, split because Lua numbers are doubles.
Version = tuple[int, int, int]


def split_version(version: int) -> tuple[int, int]:
    """A 63-bit sequence or time (µs) as the two 32-bit halves that cross the Lua border exactly."""
    return version >> 32, version & 0xFFFF_FFFF


class Tally(Struct, array_like=True):
    """What one source told of an allocation's units, each as flat [units, generation, high, low, …]: tallies.py."""

    source: str  # "" stands for all whose numbers are not of measure `available`
    counts: list[int] = []  # acknowledged as of a version (R1)
    named: list[int] = []  # of all units ever committed, so many are included as of a version (R39)
    shipped: list[int] = []  # by its own word, while it was the authority (R8)
    short: list[int] = []  # not found, by its own word, while it was the authority (R9)


class Allocation(Struct, array_like=True):
    """Units of one line at one location; the only place where quantities per state are kept."""

    location: str
    supply: str  # "" is on_hand, else the day of the incoming supply
    held: int
    committed: int
    acknowledged: int = 0  # part of committed
    fulfilled: int = 0
    released: int = 0
    expired: int = 0
    counted_by: str = ""  # not written any more: what ``tallies`` has
    counted: list[int] = []  # the same
    told: list[int] = []  # minute (ms), units fulfilled by the word of others than its source, those of them that the
    # position keeps as shipped and not counted yet; and again, oldest first (R8)
    gone: int = 0  # committed units that were released, or moved to another location
    ahead: int = 0  # units that its source shipped, and others have not told of yet: when they do, it is the same (R8)
    tallies: list[Tally] = []

    @property
    def quantity(self) -> int:
        """Units granted here, whatever became of them."""
        return self.held + self.committed + self.fulfilled + self.released + self.expired


class Line(Struct, array_like=True):
    """One line of a reservation."""

    line_id: str
    sku: str
    requested: int
    allocations: list[Allocation]
    needed_by: str = ""  # a day: the line may draw on supply due by then (R10)


class Reservation(Struct, array_like=True):
    """One reservation as the ledger keeps it. Times in ms since the epoch."""

    id: str  # stored records carry the format byte here: the id is their key
    created_at: int
    expires_at: int
    seq: int  # last change
    first_seq: int  # with the id, the journal's key (R18)
    fingerprint: int  # digest53 of the request, to tell a repeat from a reused key
    client: str
    channel: str
    customer: str
    order_ref: str
    campaign: str
    metadata: str  # JSON text, or ""
    lines: list[Line]
    changes: list[tuple[int, int]]  # (digest of client and key, digest of the body) of the last 32 changes (R4)
    since: int = 0  # when the first hold of a chain of replacements was made: the longest hold counts from here (R37)

    @property
    def state(self) -> str:
        """The overall state (R37)."""
        held = committed = acknowledged = fulfilled = expired = 0
        for line in self.lines:
            for a in line.allocations:
                held += a.held
                committed += a.committed
                acknowledged += a.acknowledged
                fulfilled += a.fulfilled
                expired += a.expired
        if held:
            return "held"
        if committed:
            return "committed" if committed > acknowledged else "acknowledged"
        if fulfilled:
            return "fulfilled"
        return "expired" if expired else "released"


class Leg(Struct, array_like=True):
    """Units that one partition holds for a basket whose record is at home, in the partition of its first sku (R3)."""

    id: str  # of the basket; stored records carry the format byte here: the id is their key
    attempt: int  # seq of the basket's opening at home
    seq: int  # home's seq that was applied last, 0 while undecided
    deadline: int  # ms: an undecided leg is resolved through home after it
    lines: list[Line]
    first_seq: int  # seq of its taking here, which the counters of its seller compare with
    client: str
    channel: str
    customer: str
    campaign: str

    def reservation(self) -> Reservation:
        """The leg as what counts units takes it, and as the coordinator reads it."""
        return Reservation(
            self.id, 0, self.deadline, self.attempt, self.first_seq, 0, self.client, self.channel, self.customer,
            "", self.campaign, "", self.lines, [], 0,
        )  # fmt: skip


#: An ended reservation keeps its whole record this long, if the journal has it by then (R18).
WHOLE_MS = 900_000

#: What is left of it, enough to recognise a repeat, goes this long after its end (R18).
TOMBSTONE_MS = 86_400_000

#: Changes that a tombstone still recognises (R4).
TOMBSTONE_CHANGES = 4


#: Stands for the key among a record's changes when a shortage took held units (R28); no call's digest is 0.
REVOKED = 0


class Shortfall(Struct, array_like=True):
    """Why one line was refused: one atomic reading. ``line`` is the index in the request."""

    line: int
    sku: str
    requested: int
    available: int  # most that this line could be granted now, as it was asked
    held_by_others: int  # units held at the locations the line could draw on
    other_locations: list[tuple[str, int]]  # (location, units) beyond what the line asked for, best rank first
    earliest_expiry: int = 0  # ms: earliest deadline found among holds of the sku; 0 if none is known
    promise_date: str = ""  # first day for which all that was requested could be promised, "" if there is none


class Balance(Struct, array_like=True):
    """One position after an entry: enough to follow availability without reading the ledger."""

    sku: str
    location: str
    number: int  # as the location's authority reports it, deltas included
    unsellable: int
    safety_stock: int
    held: int  # held and committed are units of stock on hand; what hangs on incoming supply is with its day (R10)
    committed: int
    shipped_uncounted: int = 0  # left the house, and the number does not show it yet (R8)
    included: int = 0  # committed units that a number of measure `available` is already net of (R1)
    measure: str = "on_hand"  # what the number is: on_hand, sellable or available (R38)
    set_aside: int = 0  # the number counts them, and they were not on the shelf (R9)

    @property
    def free(self) -> int:
        """Units that may still be promised here; negative in a shortage (DESIGN §4)."""
        promised = self.held + self.committed - self.included + self.shipped_uncounted
        unsellable = self.unsellable if self.measure == "on_hand" else 0  # the other measures are net of them
        return self.number - unsellable - self.set_aside - self.safety_stock - promised


class Asked(Struct, array_like=True, frozen=True, cache_hash=True):
    """For whom, where and for when availability is asked; "" is no campaign, any location, any group, no day."""

    channel: str = "default"
    campaign: str = ""
    location: str = ""
    location_group: str = ""
    date: str = ""


class SourceStock(Struct, array_like=True):
    """A source at one position of an availability answer."""

    source: str
    role: str  # authority, adjuster, fallback or shadow
    as_of: int  # ms: when its number was true, by its own word; 0 if unknown
    lag_ms: int  # how late its last event reached the ledger
    stale: bool  # not heard (R12), or known to have another number (R39), for longer than its policy allows
    uncertain: bool  # changes that its number may lack are forgotten: it stands on the low side (R8)


class LocationStock(Struct, array_like=True):
    """One position of an availability answer, with the sources of its number: first the one that is sold."""

    balance: Balance
    active: bool
    sources: list[SourceStock]
    ats: int = 0  # what a reserve naming this location would be granted now, for the seller that was asked about
    promised_later: int = 0  # free units that promises for later days need, beyond the supply they hang on (R10)
    on_fallback: bool = False  # the authority was silent: the lower of its and the fallback's number is sold (R12)


class SkuStock(Struct, array_like=True):
    """One sku as one atomic reading."""

    sku: str
    seq: int  # last change of the sku; with the partition, its position
    locations: list[LocationStock]
    ats: int = 0  # the most one reserve would be granted now, for the seller and the places that were asked about
    atp: list[tuple[str, int]] = []  # the same for days: the one that was asked for, else each with supply due (R10)


class SkuUnits(Struct, array_like=True):
    """What an availability event says of a sku: its ``SkuStock`` without the places that it is made of."""

    sku: str
    seq: int
    ats: int


#: What the body of a deleted policy object ends with. No body that was put does: no field is called so, and quotes
#: inside a text are escaped.
DELETED = '"deleted":true}'


class Policy(Struct, array_like=True):
    """A policy object kept by the ledger: ``body`` is JSON text, ``version`` is the seq of its last change."""

    kind: str
    id: str
    version: int
    body: str

    @property
    def deleted(self) -> bool:
        """Whether this is what is left of an object that was deleted: it counts as not there."""
        return self.body.endswith(DELETED)
