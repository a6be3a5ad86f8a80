"""Result: the law's answer to one command."""

from msgspec import Struct

from atp.domain.outcomes import Outcome
from atp.domain.records import Reservation, Shortfall


class Result(Struct, array_like=True):
    """Outcome, the partition's seq the answer speaks of, and what belongs to the kind of command."""

    outcome: Outcome
    seq: int = 0
    reservation: Reservation | None = None
    shortfalls: list[Shortfall] = []
    detail: str = ""  # what the refusal is about: a line's index or id, a location, a version
    replayed: bool = False  # the same command was decided before; refusals are remembered too (R18)
