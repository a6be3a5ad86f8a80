"""Commands about snapshots in parts (R13); like all others they travel as they are (``commands``)."""

from msgspec import Struct


class SnapshotPart(Struct, array_like=True, tag=23):
    """A part of a source's snapshot, told twice: before its lines, and again when all of them were ``taken`` (R13).

    The first says whether the lines may be applied: they are levels of their own, in the partitions of their skus. Only
    the second makes the part count, so that no snapshot is complete while a line of it is not yet in its number.
    """

    source: str
    snapshot: str  # the source's own id of it
    version_kind: str
    version: tuple[int, int]  # the snapshot's as_of: of every line and every zero
    stream: str
    position: int
    parts: int
    part: int  # 1…parts
    digest: int  # digest53 of the lines, never 0
    full: bool  # what it does not name at its locations has nothing left
    locations: list[str]  # sorted, each once
    as_of: int  # ms: when the content was true, or 0
    measure: str  # as all of its lines say, or ""
    taken: bool
    cause: str = ""


class Zero(Struct, array_like=True, tag=24):
    """A complete full snapshot does not name this position: its source had nothing there as of the snapshot."""

    sku: str
    location: str
    source: str
    version_kind: str
    version: tuple[int, int, int]  # with the generation it was told in
    as_of: int
    cause: str = ""


class SnapshotDecide(Struct, array_like=True, tag=25):
    """A step of what follows a complete full snapshot.

    "counted": what its zeros would do, location by location; the law parks it or lets it go on. "accept" and "discard":
    a person's word on a parked one. "swept": every position was gone through.
    """

    snapshot: int  # seq of its SnapshotBegun
    step: str
    counts: list[tuple[str, int, int]] = []  # location, non-zero positions, those that would be zeroed
    client: str = ""
    cause: str = ""
    reason: str = ""  # in a person's words
