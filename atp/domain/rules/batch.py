"""Batch: one application of commands to a state, with its clock, its entries, and the questions all rules ask."""

from collections.abc import Iterable
from copy import deepcopy

from atp.domain.entries import AnyEntry
from atp.domain.ids import identity_of
from atp.domain.records import GRACE_MS, Balance, Line, Reservation
from atp.domain.rules import policies
from atp.domain.state import Position, Sku, SourceNumber, State

#: Deadlines looked at to tell a refused buyer when units may come back, oldest first: a bound, not a search.
EXPIRIES_MAX = 64


class Batch:
    """The working view of one batch. ``now`` never runs backward; ``due_left`` says that due holds remain (R21)."""

    def __init__(self, state: State, now: int) -> None:
        self.state = state
        self.now = state.last_now = max(now, state.last_now)
        self.apart = False  # its sender has another clock: nothing expires (R22)
        self.due_left = False
        self.entries: list[AnyEntry] = []
        self.foreign = {sku for basket in state.baskets.values() for sku in basket.foreign}
        held = sorted((deadline, id) for id, deadline in state.due.items() if deadline > self.now)
        self._oldest = [id for _, id in held[:EXPIRIES_MAX]]
        self._earliest: dict[str, int] | None = None

    def next_seq(self) -> int:
        self.state.seq += 1
        return self.state.seq

    def location(self, id: str) -> policies.Location | None:
        """The location's policy, or None for one nobody has put: an event for it is a dead letter."""
        policy = self.state.policies.get(("location", id))
        return policies.decode(policy[1], policies.Location) if policy else None

    def source_policy(self, id: str) -> policies.Source:
        policy = self.state.policies.get(("source", id))
        return policies.decode(policy[1], policies.Source) if policy else policies.Source()

    def channel(self, id: str) -> policies.Channel:
        policy = self.state.policies.get(("channel", id))
        return policies.decode(policy[1], policies.Channel) if policy else policies.Channel()

    def campaign(self, id: str) -> policies.Campaign | None:
        policy = self.state.policies.get(("campaign", id))
        return policies.decode(policy[1], policies.Campaign) if policy else None

    def is_group(self, group: str) -> bool:
        """Whether any location names the group, or somebody has put it."""
        bodies = (body for (kind, _), (_, body) in self.state.policies.items() if kind == "location")
        known = any(group in policies.decode(body, policies.Location).groups for body in bodies)
        return known or ("location-group", group) in self.state.policies

    def sells_at(self, channel: str, location: str, group: str = "") -> bool:
        """Whether the channel may sell from this location, and it is in the group if one is named (R32)."""
        policy, sells = self.location(location), self.channel(channel)
        groups = policy.groups if policy else []
        if group and group not in groups:
            return False
        if not sells.locations and not sells.location_groups:
            return True
        return location in sells.locations or any(name in groups for name in sells.location_groups)

    def serves(self, channel: str, group: str) -> bool:
        """Whether the channel may sell from some location of the group; one without a list may, if there is any."""
        sells = self.channel(channel)
        if not sells.locations and not sells.location_groups:
            return True
        locations = [id for kind, id in self.state.policies if kind == "location"]
        return any(self.sells_at(channel, at, group) for at in locations)

    def authority(self, location: str) -> str:
        """The source whose number counts: the listed authority, else the first that sent a level (R24), else ""."""
        policy = self.location(location)
        if policy and policy.sources:
            return policy.listed("authority")
        return self.state.authorities.get(location, "")

    def fallback(self, location: str) -> str:
        """The source that sells beside a silent authority, or ""."""
        policy = self.location(location)
        return policy.listed("fallback") if policy else ""

    def role(self, source: str, location: str) -> str:
        """What the source's number is there: authority, adjuster, fallback, else shadow."""
        policy = self.location(location)
        if policy and policy.sources:
            return next((listed.role for listed in policy.sources if listed.source == source), "shadow")
        return "authority" if self.authority(location) == source else "shadow"

    def adjusted(self, location: str) -> bool:
        """Whether sources beside the authority change its number there (R24)."""
        policy = self.location(location)
        return bool(policy and policy.listed("adjuster"))

    def counted_as(self, source: str, location: str) -> str:
        """The source whose number a change told by ``source`` moves: an adjuster's authority (R24), else itself."""
        adjusts = self.role(source, location) == "adjuster"
        return (self.authority(location) if adjusts else "") or source

    def on_fallback(self, sku: str, location: str) -> bool:
        """Whether the authority is, or was, silent, and sent no level of this position since (R12)."""
        place = self.state.locations.get(location)
        if place is None or not place.since:
            return False
        position = self.state.skus.get(sku, Sku()).positions.get(location, Position())
        return position.sources.get(self.authority(location), SourceNumber()).returned != place.since

    def selling(self, sku: str, location: str) -> str:
        """The source whose number is sold: the authority, or on fallback the one that leaves fewer units (R12)."""
        authority = self.authority(location)
        if not self.on_fallback(sku, location):
            return authority
        fallback = self.state.locations[location].fallback
        position = self.state.skus.get(sku, Sku()).positions.get(location, Position())
        if not position.sources.get(fallback, SourceNumber()).has_level:
            return authority
        lower = self.balance_by(sku, location, fallback).free < self.balance_by(sku, location, authority).free
        return fallback if lower else authority

    def balance(self, sku: str, location: str) -> Balance:
        """The position by the number that is sold."""
        return self.balance_by(sku, location, self.selling(sku, location))

    def balance_by(self, sku: str, location: str, source: str) -> Balance:
        """The position by one source's number."""
        return self.state.balance(sku, location, source, self.source_policy(source).measure)

    def sku(self, id: str) -> Sku:
        """The sku's record, created when it is first heard of."""
        return self.state.skus.setdefault(id, Sku())

    def position(self, sku: str, location: str) -> Position:
        """The position to change, created when it is new; a loose one for a sku that lives in another partition (R3).

        There the leg of the basket is what moves, when it follows home.
        """
        if sku in self.foreign:
            return Position()
        return self.sku(sku).positions.setdefault(location, Position())

    def touch(self, seq: int, skus: list[str]) -> None:
        """``seq`` is now the position of these skus, as far as they live here."""
        for sku in skus:
            if sku not in self.foreign:
                self.sku(sku).seq = seq

    def ranked(self, sku: str, channel: str, group: str = "") -> list[str]:
        """Active locations of the channel that have a position of the sku, best rank first, ties by id (R38)."""
        item = self.state.skus.get(sku)
        return self.by_rank(at for at in (item.positions if item else ()) if self.sells_at(channel, at, group))

    def by_rank(self, locations: Iterable[str]) -> list[str]:
        """The active ones, best rank first, ties by id."""
        known = [(policy.priority, at) for at in locations if (policy := self.location(at)) and policy.active]
        return [at for _, at in sorted(known)]

    def earliest_expiry(self, sku: str) -> int:
        """The earliest deadline of units of the sku among the oldest holds, 0 if none of those has any.

        Read once per batch, at its first refusal.
        """
        if self._earliest is None:
            self._earliest = {}
            for id in self._oldest:
                record = self.state.reservations[identity_of(id)]
                for line in record.lines:
                    if any(a.held for a in line.allocations):
                        found = min(record.expires_at, self._earliest.get(line.sku, record.expires_at))
                        self._earliest[line.sku] = found
        return self._earliest.get(sku, 0)

    def after(self, reservation: Reservation) -> tuple[Reservation, list[Balance]]:
        """A copy of a reservation that just changed, and the balances it left; its skus take its seq.

        One without live units is queued for retention; a later change queues it again under its new seq.
        """
        self.touch(reservation.seq, [line.sku for line in reservation.lines])
        if not any(a.held or a.committed for line in reservation.lines for a in line.allocations):
            self.state.ended.append((reservation.seq, self.now, identity_of(reservation.id)))
        basket = self.state.baskets.get(identity_of(reservation.id))
        if basket is not None and not basket.deadline:
            self.state.following[reservation.id] = reservation.seq
        return deepcopy(reservation), self.balances(reservation.lines)

    def balances(self, lines: list[Line]) -> list[Balance]:
        """The balances of the positions that these lines draw on, each once, as far as they are here."""
        places = dict.fromkeys((line.sku, a.location) for line in lines for a in line.allocations)
        return [self.balance(sku, at) for sku, at in places if sku not in self.foreign]

    def keep(self, reservation: Reservation) -> None:
        """Give a changed reservation its seq, and keep the index of deadlines true (R22)."""
        reservation.seq = self.next_seq()
        if any(a.held for line in reservation.lines for a in line.allocations):
            self.state.due[reservation.id] = reservation.expires_at + GRACE_MS
        else:
            self.state.due.pop(reservation.id, None)
