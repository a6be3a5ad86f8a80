"""Commands: everything that may change the ledger, as tagged structs that travel to the Lua library as they are.

Arrays on the wire (``array_like``), integer tags, and no None: "" and 0 mean absent. Text limits and quantity bounds
are checked where the command is made (``api``, ``ingest``); the law relies on them.
"""

from msgspec import Struct

from atp.domain.change import Change
from atp.domain.order_commands import Include, TakeBack, TellOrder
from atp.domain.records import Line, Reservation, Shortfall
from atp.domain.repair_commands import PutBack, Repair
from atp.domain.snapshots import SnapshotDecide, SnapshotPart, Zero
from atp.domain.source_commands import Heartbeat, MoveAuthority, Recheck, RestartSource, Touch


class Level(Struct, array_like=True, tag=1):
    """A source says how many units a position has (absolute), as of a version."""

    sku: str
    location: str
    source: str
    quantity: int  # −10⁹…10⁹: systems do report negative stock (R14)
    version_kind: str  # "sequence" or "time": a source uses one of them (R14)
    version: tuple[int, int]  # records.split_version
    stream: str  # stream and shard the event came by, or ""
    position: int  # its sequence in that stream, or 0; breaks ties of equal versions
    as_of: int  # ms, the source's own time of the event, or 0
    measure: str = ""  # "" is whatever the source measures
    cause: str = ""  # traceparent or event id, kept in the entry
    includes: list[str] = []  # orders that a number of measure `available` is net of (R1)


class Delta(Struct, array_like=True, tag=2):
    """A source says that a position's number changed by ``quantity`` units."""

    sku: str
    location: str
    source: str
    quantity: int
    version_kind: str
    version: tuple[int, int]
    stream: str
    position: int
    as_of: int
    event: int  # digest53 of the event's id and line, or of its content when it has no id
    cause: str = ""


class Cursor(Struct, array_like=True, tag=3):
    """All messages of the stream up to ``position`` are settled: none of them may have an effect again (R15)."""

    stream: str
    position: int


class Status(Struct, array_like=True, tag=4):
    """A source says how many of a position's units cannot be sold (absolute); its versions are a chain of their own."""

    sku: str
    location: str
    source: str
    unsellable: int
    version_kind: str
    version: tuple[int, int]
    stream: str
    position: int
    as_of: int
    cause: str = ""


class Incoming(Struct, array_like=True, tag=5):
    """A source expects a delivery on a day. ``quantity`` is all of it, received or not; 0 takes the delivery away."""

    sku: str
    location: str
    source: str
    quantity: int
    version_kind: str
    version: tuple[int, int]
    stream: str
    position: int
    as_of: int
    supply_id: str
    day: str  # ISO date, at the location
    starts_at: int  # ms: when the day begins at the location; 0 if quantity is
    cause: str = ""


class Received(Struct, array_like=True, tag=6):
    """Units of a delivery arrived, by the word of any source (R10)."""

    sku: str
    location: str
    source: str
    quantity: int
    version_kind: str
    version: tuple[int, int]
    stream: str
    position: int
    as_of: int
    event: int  # as in Delta
    supply_id: str
    cause: str = ""


class Overdue(Struct, array_like=True, tag=41):
    """Somebody found that a delivery did not come on its day; the law looks again, and tells it once (R10)."""

    sku: str
    location: str
    supply_id: str
    cause: str = ""


class ReserveLine(Struct, array_like=True):
    """One line of a reserve request; ``location`` "" lets the law choose by priority (R38)."""

    line_id: str
    sku: str
    quantity: int
    location: str = ""
    location_group: str = ""  # draw only at locations of this group
    needed_by: str = ""  # a day: incoming supply due by then may be promised too (R10)


class Reserve(Struct, array_like=True, tag=10):
    """Hold units of every line, or of none."""

    id: str
    fingerprint: int
    client: str
    channel: str
    customer: str
    order_ref: str
    campaign: str
    metadata: str
    ttl_ms: int  # 0 takes the campaign's, or the default as far as the channel allows it
    lines: list[ReserveLine]
    cause: str = ""
    allow_partial: bool = False  # grant what there is, line by line; nothing at all is still a refusal
    allow_split: bool = True  # False: all lines that name no location from one location (R38)
    dry_run: bool = False  # answer without holding
    replaces: str = ""  # the caller's earlier hold, released in the same step (R37)
    ticket: str = ""  # which ticket of the campaign's waiting room lets it in; the caller was asked for it before


class Recall(Struct, array_like=True, tag=50):
    """What became of a reserve of this identity, if one was decided: the look-up of one that a hint refuses (R7)."""

    id: str
    fingerprint: int


class Confirm(Struct, array_like=True, tag=11):
    """Turn held units into committed ones. No lines means all that is held.

    With ``reacquire`` expired units are taken again and committed in the same step, or refused together (R17). One that
    the ledger keeps no whole record of comes with it, from the journal.
    """

    id: str
    change: Change
    order_ref: str
    lines: list[tuple[str, int]]  # (line_id, quantity)
    client: str = ""
    cause: str = ""
    reacquire: bool = False
    record: list[Reservation] = []  # none or one


class Release(Struct, array_like=True, tag=12):
    """Give units back. ``of``: "held", "committed", "all", or "" for held if any unit is held, else committed."""

    id: str
    change: Change
    of: str
    lines: list[tuple[str, int]]
    reason: str = ""
    client: str = ""
    cause: str = ""


class Extend(Struct, array_like=True, tag=13):
    """Move the deadline to now + ``ttl_ms``; never nearer, and never past the longest hold (R37)."""

    id: str
    change: Change
    ttl_ms: int
    client: str = ""
    cause: str = ""


class Fulfil(Struct, array_like=True, tag=14):
    """Committed units left the house, told by somebody who is not the location's stock source (R8).

    The commitment becomes fulfilled, and the units stay subtracted as shipped but not yet counted until the source's
    number shows them. ``shipment`` is a digest of the shipment's id, 0 for none: one id counts once.
    """

    id: str
    change: Change
    lines: list[tuple[str, int]]
    shipment: int = 0
    client: str = ""
    cause: str = ""


class Acknowledge(Struct, array_like=True, tag=15):
    """Committed units are known to be counted by a source that measures `available`, from a version on (R1).

    Told without a source it speaks for the authority of each location, and takes effect with its next level.
    """

    id: str
    change: Change
    lines: list[tuple[str, int]]
    client: str = ""
    cause: str = ""
    source: str = ""
    version: tuple[int, int] = (0, 0)
    version_kind: str = ""


class Transfer(Struct, array_like=True, tag=16):
    """Move live units of one line from one location to another; what was acknowledged there is not any more (R1)."""

    id: str
    change: Change
    line_id: str
    source: str
    target: str
    quantity: int
    client: str = ""
    cause: str = ""


class Affect(Struct, array_like=True, tag=17):
    """A page of reservations of a shortage, in the order of its policy, listed from the journal (R28)."""

    sku: str
    location: str
    shortage: int  # seq of its ShortageFound
    after: int  # where the page before ended: first seq of its last reservation, or 0
    through: int  # where this one ends
    ids: list[str]  # at most 256
    last: bool
    cause: str = ""


class PutPolicy(Struct, array_like=True, tag=20):
    """Replace one policy object. Kinds: location, item, source, client, channel, item-channel, campaign.

    An item-channel has the id ``sku US channel`` (US = 0x1F). A campaign names the skus that this partition keeps.

    ``if_version`` −1 means whatever is there, 0 that there must be none. ``version`` 0 takes this entry's seq; copies
    to the other partitions carry the first partition's version (R31), and never replace a newer one. ``call`` is a
    random number by which a command that is sent again, for want of an answer, finds what it did (R5); 0: none.
    """

    kind: str
    id: str
    body: str  # JSON text
    if_version: int = -1
    version: int = 0
    client: str = ""
    cause: str = ""
    skus: list[str] = []
    call: int = 0


class Raise(Struct, array_like=True, tag=26):
    """Something a person should look at, found outside the law; ``kind`` is one of domain/exceptions.py."""

    kind: str
    sku: str = ""
    location: str = ""
    source: str = ""
    reservation: str = ""
    detail: str = ""
    cause: str = ""


class Resolve(Struct, array_like=True, tag=27):
    """A person ends the exception that the entry ``seq`` raised, with a word on how and a reason.

    ``call`` is as in PutPolicy.
    """

    kind: str
    sku: str
    location: str
    source: str
    reservation: str
    seq: int
    resolution: str
    reason: str = ""
    client: str = ""
    cause: str = ""
    call: int = 0


class Adjust(Struct, array_like=True, tag=28):
    """A person corrects the number of a location's authority, until the source's next newer level (R36)."""

    sku: str
    location: str
    quantity: int  # ± units
    event: int  # digest53 of client and Idempotency-Key
    body: int  # digest53 of what is asked under it
    reason: str
    client: str = ""
    cause: str = ""


class OpenBasket(Struct, array_like=True, tag=30):
    """At home: begin an attempt at a basket that spans partitions, unless its identity is decided already (R3).

    ``call`` is a random number that makes a resent command find its own attempt. The answer's seq names the attempt.
    """

    call: int
    ttl_ms: int  # an attempt undecided for longer may be aborted by anybody
    foreign: list[str]  # skus that live in other partitions
    reserve: Reserve  # the whole request


class TakeLeg(Struct, array_like=True, tag=31):
    """Hold the units of one partition for an attempt; they count until home's word is applied, never by time."""

    attempt: int
    ttl_ms: int  # after it anybody may ask home what became of the attempt
    reserve: Reserve  # with the lines of this partition only


class Decide(Struct, array_like=True, tag=32):
    """At home: all legs stand, the basket is held; refused when the attempt was aborted meanwhile."""

    attempt: int
    lines: list[Line]  # every line of the request with what its leg was granted
    reserve: Reserve


class Abort(Struct, array_like=True, tag=33):
    """At home: an undecided attempt never becomes a reservation. With ``shortfalls`` the refusal is remembered."""

    id: str
    fingerprint: int
    attempt: int
    shortfalls: list[Shortfall] = []


class DropLeg(Struct, array_like=True, tag=34):
    """Free the units of an undecided leg whose attempt home does not know, or has aborted."""

    id: str
    attempt: int


class FollowHome(Struct, array_like=True, tag=35):
    """Make a leg what home's record says as of home's ``seq``; an older seq than the one applied changes nothing."""

    id: str
    seq: int
    lines: list[Line]  # the lines of this partition


class Followed(Struct, array_like=True, tag=36):
    """At home: every leg has applied the record as of ``seq``."""

    id: str
    seq: int


#: What changes one reservation.
CHANGES = (Confirm, Release, Extend, Fulfil, Acknowledge, Transfer)

#: What a ledger whose memory is full still takes: it ends or moves what is there (R26). Levels and deltas only of
#: positions that exist, and parts of snapshots whose lines were taken.
RELIEVING = (
    Level, Delta, Status, Received, TellOrder, TakeBack, Include, Cursor,
    Recall, Confirm, Release, Extend, Fulfil, Acknowledge, Transfer, Affect,
    SnapshotPart, Zero, SnapshotDecide, Resolve, Heartbeat, Touch, Abort, DropLeg, FollowHome, Followed,
)  # fmt: skip

Command = (
    Level | Delta | Cursor | Status | Incoming | Received | Overdue | TellOrder | TakeBack | Include
    | Reserve | Recall | Confirm | Release | Extend | Fulfil | Acknowledge
    | Transfer | Affect | PutPolicy | Raise | Resolve | SnapshotPart | Zero | SnapshotDecide
    | Heartbeat | Touch | MoveAuthority | RestartSource | Recheck
    | Adjust | Repair | PutBack | OpenBasket | TakeLeg | Decide | Abort | DropLeg | FollowHome | Followed
)  # fmt: skip
