"""What callers know by themselves: every operation with its time, its answer, and whether the answer was definite."""

import math
import time
from typing import Literal

from msgspec import Struct, field

Kind = Literal["reserve", "confirm", "release", "extend", "fulfil", "delta", "level"]
Outcome = Literal["ok", "refused", "unknown"]


class Op(Struct):
    """One operation, all its attempts together. Times are monotonic seconds; an unknown one never ends."""

    kind: Kind
    key: str
    lines: dict[str, int]  # sku → units
    id: str = ""  # of the reservation, also of one that was refused
    began: float = field(default_factory=time.monotonic)
    ended: float = math.inf
    outcome: Outcome = "unknown"
    code: str = ""  # of the refusal
    free: int | None = None  # units that a refusal said were there, of a single line
    unknowns: int = 0  # attempts that nobody answered for certain
    attempts: int = 0
    ends_after: float = math.inf  # of a reserve: its hold cannot expire before

    def end(self, outcome: Outcome, code: str = "") -> None:
        """A definite answer came."""
        self.outcome, self.code, self.ended = outcome, code, time.monotonic()


class History(Struct):
    """All operations in the order in which they began."""

    ops: list[Op] = field(default_factory=list)
    contradictions: list[str] = field(default_factory=list)  # answers that no answer may be (C5, C8)

    def begin(self, op: Op) -> Op:
        """Note an operation before its first attempt."""
        self.ops.append(op)
        return op

    def acknowledged(self) -> int:
        """Operations that were answered with yes."""
        return sum(op.outcome == "ok" for op in self.ops)

    def resolved(self) -> int:
        """Operations whose fate was unknown for a while, and then was learned."""
        return sum(op.outcome != "unknown" and op.unknowns > 0 for op in self.ops)

    def ok_times(self, kind: Kind) -> list[float]:
        """When operations of a kind were answered with yes, in order."""
        return sorted(op.ended for op in self.ops if op.kind == kind and op.outcome == "ok")
