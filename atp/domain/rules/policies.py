"""What the law reads of the policy bodies, decoded once per body."""

from functools import lru_cache

from msgspec import Struct, json


class ListedSource(Struct):
    """A source of a location's numbers."""

    source: str
    role: str


class Location(Struct):
    """A place with stock."""

    priority: int = 0
    active: bool = True
    sources: list[ListedSource] = []
    groups: list[str] = []

    def listed(self, role: str) -> str:
        """The first source with this role, or ""."""
        return next((listed.source for listed in self.sources if listed.role == role), "")


class Source(Struct):
    """How a source's events are to be read; one that nobody has put measures on_hand (R24)."""

    measure: str = "on_hand"
    version: str = ""  # "" is whatever the source's first event used
    full_guard_percent: int = 20  # of a location's non-zero positions: a full snapshot that zeroes more waits (R13)
    stale_after_seconds: int = 900  # a source with heartbeats that is not heard for so long is silent (R12)


class Channel(Struct):
    """Where a channel sells from, and what it allows (R32); one that nobody has put is like this."""

    priority: int = 0
    locations: list[str] = []
    location_groups: list[str] = []
    held_units_per_customer: int | None = None
    max_hold_seconds: int = 14_400


class Quantity(Struct):
    """Units of one sku set aside for a campaign."""

    quantity: int


class Campaign(Struct):
    """A sale with a window and stock of its own; ``opens`` and ``closes`` in ms (R23)."""

    opens: int
    closes: int
    skus: dict[str, Quantity] = {}
    channels: list[str] = []
    ttl_seconds: int = 300
    per_customer: int | None = None
    waiting_room: bool = False


class Item(Struct):
    """A sku's rules (R38)."""

    safety_stock: int = 0
    safety_stock_by_location: dict[str, int] = {}


class Share(Struct):
    """A channel's floor and ceiling of one sku (R11)."""

    protection: int = 0
    cap: int | None = None


@lru_cache(4096)
def decode[T: Struct](body: str, kind: type[T]) -> T:
    """The body as a struct of ``kind``; what the law does not read is skipped."""
    return json.decode(body, type=kind)
