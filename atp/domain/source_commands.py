"""Commands about sources: that one lives, that another one counts at a location, that one begins anew (R12, R14)."""

from msgspec import Struct

from atp.domain.change import Change


class Heartbeat(Struct, array_like=True, tag=18):
    """A source says that it is there; from its first heartbeat on its silence means something (R12)."""

    source: str
    stream: str
    position: int
    cause: str = ""
    beats: bool = True  # False: it spoke, by events that concern other partitions


class Touch(Struct, array_like=True, tag=37):
    """A source says that a sku's number changed, at one location or at all of its own, and not to what (R39)."""

    sku: str
    location: str  # "" is wherever the source has a number
    source: str
    version_kind: str  # "" if it says no version: any newer level answers it
    version: tuple[int, int]
    stream: str
    position: int
    as_of: int
    cause: str = ""


class MoveAuthority(Struct, array_like=True, tag=19):
    """From now on another source's number counts at a location, at all its positions in one step."""

    location: str
    source: str
    change: Change
    body: str  # the location's policy, with the roles as they are then; versions are as in PutPolicy
    if_version: int = -1
    version: int = 0
    client: str = ""
    cause: str = ""


class RestartSource(Struct, array_like=True, tag=21):
    """A source begins anew: whatever it says from now on is newer than all it said before (R14)."""

    source: str
    change: Change
    generation: int = 0  # 0 is one above the present one; copies carry what the first partition decided
    client: str = ""
    cause: str = ""


class Recheck(Struct, array_like=True, tag=22):
    """Positions of a location that counts another number since the entry ``seq``: are their promises covered?"""

    location: str
    seq: int
    skus: list[str]  # a page of those that may have a position there
    last: bool
    cause: str = ""
