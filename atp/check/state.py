"""State: how far a run came, so that whoever goes on with it need not begin again."""

import zlib

import msgspec
from msgspec import Struct, field

from atp.check.counters import Key, Part, Since
from atp.domain.records import Version

_encode = msgspec.msgpack.Encoder().encode


class State(Struct):
    """Of the partition at hand: the step, its place, and what the steps before left."""

    partition: int = 0
    step: int = 0
    cursor: str = ""
    total: int = 0  # records of all partitions, about
    sums: dict[Key, int] = field(default_factory=dict)  # counters less what their records add; what is not 0
    since: Since = field(default_factory=Since)
    skus: set[str] = field(default_factory=set)  # whose sums are to be looked at again
    reservations: dict[str, set[str]] = field(default_factory=dict)  # id → orders that name it
    places: set[tuple[str, str]] = field(default_factory=set)  # positions
    listed: set[tuple[str, str]] = field(default_factory=set)  # sku and a location that it lists, or should
    awaited: set[str] = field(default_factory=set)  # orders that events wait for
    legs: set[str] = field(default_factory=set)  # baskets whose leg here may be behind
    policies: set[tuple[str, str]] = field(default_factory=set)

    def add(self, key: Key, units: int) -> None:
        """More units, or fewer; what comes out even is forgotten."""
        if units := self.sums.get(key, 0) + units:
            self.sums[key] = units
        else:
            self.sums.pop(key, None)

    def suspect(self, id: str, order_ref: str = "") -> None:
        """Look at a reservation again, and at the order that names it."""
        self.reservations.setdefault(id, set()).update([order_ref] if order_ref else [])

    def next_partition(self) -> None:
        """Nothing of one partition concerns the next."""
        empty = State(self.partition + 1, total=self.total)
        for name in self.__struct_fields__:
            setattr(self, name, getattr(empty, name))

    def packed(self) -> bytes:
        """As it is kept."""
        kept = _Kept(
            self.partition, self.step, self.cursor, self.total, list(self.sums.items()),
            [(*key, seq) for key, seq in self.since.sellers.items()], self.since.campaigns, self.skus,
            self.reservations, self.places, self.policies, self.listed, self.awaited, self.legs,
            [(*key, version) for key, version in self.since.versions.items()],
        )  # fmt: skip
        return zlib.compress(_encode(kept), 1)

    @classmethod
    def unpacked(cls, packed: bytes | None) -> "State":
        """As it was when it was kept; the beginning where nothing was, or nothing that this release can read."""
        if not packed:
            return cls()
        try:
            k = _decode(zlib.decompress(packed))
        except msgspec.ValidationError:  # another release kept it
            return cls()
        versions = {(sku, at, source): version for sku, at, source, version in k.versions}
        since = Since({(sku, seller): seq for sku, seller, seq in k.sellers}, k.campaigns, versions)
        return cls(
            k.partition, k.step, k.cursor, k.total, dict(k.sums), since, k.skus, k.reservations, k.places, k.listed,
            k.awaited, k.legs, k.policies,
        )  # fmt: skip


class _Kept(Struct, array_like=True):
    """Without keys that are no text."""

    partition: int
    step: int
    cursor: str
    total: int
    sums: list[Part]
    sellers: list[tuple[str, str, int]]
    campaigns: dict[str, int]
    skus: set[str]
    reservations: dict[str, set[str]]
    places: set[tuple[str, str]]
    policies: set[tuple[str, str]]
    listed: set[tuple[str, str]]
    awaited: set[str]
    legs: set[str]
    versions: list[tuple[str, str, str, Version]]


_decode = msgspec.msgpack.Decoder(_Kept).decode
