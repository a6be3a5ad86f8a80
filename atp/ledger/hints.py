"""Sold out: a process remembers for a moment which reserves are pointless, and asks less of the ledger for them (R7).

A hint saves the look at the stock and never the look-up of the identity: the winner's own retry is a replay. It never
says yes. It is forgotten when this process sees anything that may free units or finds some, when a hold falls due, and
a quarter of a second after its reading, which is as long as others may have freed some unseen.
"""

import time

from msgspec import Struct, structs

from atp.domain.commands import Command, Confirm, Cursor, Extend, Heartbeat, Recall, Reserve, ReserveLine
from atp.domain.outcomes import HINTED, Outcome
from atp.domain.records import Shortfall
from atp.domain.results import Result
from atp.ledger.pending import Hinted, Pending
from atp.ledger.weights import weight
from atp.telemetry import RESERVES_HINTED

#: The oldest figures that a refusal may give, in seconds.
HINT_S = 0.25

#: Scopes remembered at once: more than a sale has, and little memory.
SCOPES_MAX = 4_096

#: What never frees units. A reserve may, if it replaces a hold; a confirm takes units again if anything.
_TAKING = (Recall, Confirm, Extend, Cursor, Heartbeat)

#: Sku, place, day, seller, whether a customer is named: what decides which units a line may have.
Scope = tuple[str, str, str, str, str, str, bool, bool]


class Hint(Struct, frozen=True):
    """One reading of a scope: nothing was left."""

    at: float  # monotonic
    shortfall: Shortfall


class Hints:
    """What one batcher knows to be sold out."""

    def __init__(self) -> None:
        self._found: dict[Scope, Hint] = {}
        self._version = 0  # of policies

    def forget_due(self, next_due: int, now_ms: float) -> None:
        """No refusal is given on the strength of a due hold (R21): the next batch settles it."""
        if self._found and next_due and next_due <= now_ms:
            self._found.clear()

    def follow(self, policy_version: int) -> None:
        """Another policy may free anything."""
        if policy_version != self._version:
            self._version = policy_version
            self._found.clear()

    def stand_in(self, pending: Pending, *, behind_what_frees: bool = False) -> None:
        """Let a look-up travel instead of a reserve that is known to be pointless, by what is known now.

        Not ``behind_what_frees`` units in the same batch: nobody has seen yet what it frees.
        """
        self.stand_back(pending)
        c = pending.command
        if behind_what_frees or not self._found or not isinstance(c, Reserve):
            return
        if c.dry_run or c.replaces or pending.contended:
            return
        if c.allow_partial and len(c.lines) > 1:
            return
        shortfalls, oldest = [], time.monotonic()
        for index, line in enumerate(c.lines):
            if hint := self._fresh(_scope(c, line)):
                oldest = min(oldest, hint.at)
                figures = structs.replace(hint.shortfall, line=index, requested=line.quantity, promise_date="")
                shortfalls.append(figures)
        if shortfalls:
            pending.hinted = Hinted(oldest, c, shortfalls)
            pending.command = Recall(c.id, c.fingerprint)
            pending.weight = weight(pending.command)

    def stand_back(self, pending: Pending) -> None:
        """Let the reserve travel itself."""
        if pending.hinted is not None:
            pending.command, pending.weight, pending.hinted = (
                pending.hinted.reserve,
                weight(pending.hinted.reserve),
                None,
            )

    def may_free(self, command: Command) -> bool:
        """Whether a command may free units of what is known to be sold out."""
        only_takes = isinstance(command, Reserve) and not command.replaces
        return bool(self._found) and not only_takes and not isinstance(command, _TAKING)

    def answer(self, pending: Pending, result: Result) -> Result | None:
        """The answer to a reserve that travelled as a look-up; None if it has to travel itself after all."""
        hinted = pending.hinted
        if hinted is None or result.outcome is not Outcome.NOT_FOUND:
            return result
        if time.monotonic() - hinted.at > HINT_S:
            self.stand_back(pending)
            return None
        RESERVES_HINTED.inc()
        return structs.replace(result, outcome=Outcome.INSUFFICIENT, shortfalls=hinted.shortfalls, detail=HINTED)

    def learn(self, command: Command, result: Result, at: float) -> None:
        """What an answer says of what is left; ``at`` (monotonic) is not after its reading."""
        if isinstance(command, Reserve) and not command.replaces:
            if result.outcome is Outcome.INSUFFICIENT and not result.replayed and len(command.lines) == 1:
                self._note(_scope(command, command.lines[0]), Hint(at, result.shortfalls[0]))
            elif self._found and result.outcome is Outcome.APPLIED:
                for line in command.lines:  # somebody else freed units: nobody after this is told that there are none
                    self._found.pop(_scope(command, line), None)
        elif self.may_free(command):
            self._cleared_by(command, result)

    def _note(self, scope: Scope, hint: Hint) -> None:
        if hint.shortfall.available:
            self._found.pop(scope, None)
            return
        if len(self._found) >= SCOPES_MAX:
            self._found.clear()
        self._found[scope] = hint

    def _cleared_by(self, command: Command, result: Result) -> None:
        skus = {line.sku for line in result.reservation.lines} if result.reservation else set[str]()
        if sku := getattr(command, "sku", ""):
            skus.add(sku)
        if not skus or isinstance(command, Reserve):  # what was replaced may be of other skus
            self._found.clear()
        for scope in [scope for scope in self._found if scope[0] in skus]:
            del self._found[scope]

    def _fresh(self, scope: Scope) -> Hint | None:
        hint = self._found.get(scope)
        if hint and time.monotonic() - hint.at > HINT_S:
            del self._found[scope]
            return None
        return hint


def _scope(c: Reserve, line: ReserveLine) -> Scope:
    place, split = (line.location, line.location_group), c.allow_split
    return line.sku, *place, line.needed_by, c.channel, c.campaign, bool(c.customer), split
