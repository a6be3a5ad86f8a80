"""Batch: one application of commands to a state, with its clock, its entries, and the questions all rules ask."""

from copy import deepcopy
from functools import lru_cache

from msgspec import Struct, json

from atp.domain.entries import AnyEntry
from atp.domain.ids import identity_of
from atp.domain.records import Balance, Reservation
from atp.domain.state import Location, Sku, State


class _ListedSource(Struct):
    source: str
    role: str


class _LocationBody(Struct):
    priority: int = 0
    active: bool = True
    sources: list[_ListedSource] = []


class SourcePolicy(Struct):
    """The part of a source policy that the law reads."""

    measure: str = "on_hand"
    version: str = ""  # "" is whatever the source's first event used


@lru_cache(4096)
def _source(body: str) -> SourcePolicy:
    return json.decode(body, type=SourcePolicy)


@lru_cache(4096)
def _location(body: str) -> Location:
    decoded = json.decode(body, type=_LocationBody)
    return Location(decoded.priority, decoded.active, [(s.source, s.role) for s in decoded.sources])


class Batch:
    """The working view of one batch. ``now`` never runs backward; ``due_left`` says that due holds remain (R21)."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.now = state.last_now
        self.apart = False  # its sender has another clock: nothing expires (R22)
        self.due_left = False
        self.entries: list[AnyEntry] = []

    def next_seq(self) -> int:
        self.state.seq += 1
        return self.state.seq

    def location(self, id: str) -> Location | None:
        """The location's policy, or None for one nobody has put: an event for it is a dead letter."""
        policy = self.state.policies.get(("location", id))
        return _location(policy[1]) if policy else None

    def source_policy(self, id: str) -> SourcePolicy:
        """The source's policy; one that nobody has put measures on_hand (R24)."""
        policy = self.state.policies.get(("source", id))
        return _source(policy[1]) if policy else SourcePolicy()

    def authority(self, location: str) -> str:
        """The source whose number counts: the listed authority, else the first that sent a level (R24), else ""."""
        policy = self.location(location)
        if policy and policy.sources:
            return next((source for source, role in policy.sources if role == "authority"), "")
        return self.state.authorities.get(location, "")

    def balance(self, sku: str, location: str) -> Balance:
        return self.state.balance(sku, location, self.authority(location))

    def sku(self, id: str) -> Sku:
        """The sku's record, created when it is first heard of."""
        return self.state.skus.setdefault(id, Sku())

    def touch(self, seq: int, skus: list[str]) -> None:
        """``seq`` is now the position of these skus."""
        for sku in skus:
            self.sku(sku).seq = seq

    def ranked(self, sku: str) -> list[str]:
        """Active locations that have a position of the sku, best rank first, ties by id (R38)."""
        item = self.state.skus.get(sku)
        if item is None:
            return []
        found = [(policy.priority, id) for id in item.positions if (policy := self.location(id)) and policy.active]
        return [id for _, id in sorted(found)]

    def ranked_together(self, skus: list[str]) -> list[str]:
        """Active locations that have a position of any of the skus, best rank first."""
        found = {at for sku in skus for at in self.ranked(sku)}
        return sorted(found, key=lambda at: (policy.priority if (policy := self.location(at)) else 0, at))

    def after(self, reservation: Reservation) -> tuple[Reservation, list[Balance]]:
        """A copy of a reservation that just changed, and the balances it left; its skus take its seq.

        One without live units is queued for retention; a later change queues it again under its new seq.
        """
        self.touch(reservation.seq, [line.sku for line in reservation.lines])
        if not any(a.held or a.committed for line in reservation.lines for a in line.allocations):
            self.state.ended.append((reservation.seq, self.now, identity_of(reservation.id)))
        places = dict.fromkeys((line.sku, a.location) for line in reservation.lines for a in line.allocations)
        return deepcopy(reservation), [self.balance(sku, at) for sku, at in places]
