"""Balances: what every kind of entry says of the positions it touched, and what follows from records alone."""

from collections.abc import Iterable, Sequence

from atp.domain.projection import peg
from atp.domain.records import Balance, Line, Reservation
from atp.domain.rules import policies
from atp.domain.rules.limits import add, counts_to_campaign
from atp.domain.rules.moves import count_live
from atp.domain.rules.shipping import ship
from atp.domain.sellers import seller_name
from atp.domain.state import SHIPPED_BUCKET_MS, Position, Sku, SourceNumber, State
from atp.domain.tallies import standing


def sku_of(state: State, sku: str) -> Sku:
    """The sku's record, created when it is first heard of."""
    item = state.skus.get(sku)
    if item is None:
        item = state.skus[sku] = Sku()
    return item


def position_of(state: State, sku: str, location: str) -> Position:
    """The position, created when it is new."""
    positions = sku_of(state, sku).positions
    position = positions.get(location)
    if position is None:
        position = positions[location] = Position()
    return position


def number_of(position: Position, source: str) -> SourceNumber:
    """What a source says of a position, created when it is new."""
    known = position.sources.get(source)
    if known is None:
        known = position.sources[source] = SourceNumber()
    return known


def take(state: State, seq: int, balances: Iterable[Balance]) -> None:
    """Units held and committed are as an entry shows them; ``seq`` is now the position of these skus."""
    for balance in balances:
        position = position_of(state, balance.sku, balance.location)
        position.held, position.committed = balance.held, balance.committed
        state.skus[balance.sku].seq = seq


def take_shipped(state: State, at: int, balances: Iterable[Balance]) -> None:
    """What is shipped beyond what was known left in the minute of the entry (R8)."""
    for balance in balances:
        position = position_of(state, balance.sku, balance.location)
        units = balance.shipped_uncounted - sum(position.shipped.values())
        if units:
            ship(position, at // SHIPPED_BUCKET_MS * SHIPPED_BUCKET_MS, units)


def authority_of(state: State, location: str) -> str:
    """The source whose number counts, as ``Batch.authority`` finds it."""
    policy = location_policy(state, location)
    if policy is not None and policy.sources:
        return policy.listed("authority")
    return state.authorities.get(location, "")


def location_policy(state: State, location: str) -> policies.Location | None:
    """The location's policy, or None for one nobody has put."""
    found = state.policies.get(("location", location))
    return policies.decode(found[1], policies.Location) if found else None


def count(state: State, r: Reservation, sku: str, held: int, sold: int) -> None:
    """So many more units of the sku are held, and sold, through the reservation's seller and for its customer."""
    if held and r.customer:
        add(state.holding, (r.channel, r.customer), held)
    if not sold:
        return
    share = sku_of(state, sku).sellers.get(seller_name(r.channel, r.campaign))
    if share is not None and r.first_seq > share.since:
        share.used += sold
    if r.customer and counts_to_campaign(state, r, r.campaign):
        add(state.buyers, (r.campaign, sku, r.customer), sold)


def hang(state: State, before: Sequence[Line], after: Sequence[Line], foreign: Sequence[str] = ()) -> None:
    """Bring up to date what hangs on allocations beside the position's own units, of lines as they were and are.

    Those are units of incoming supply (R10), and units that a source's number is net of, or will be (R1). A day keeps
    its start only while something hangs on it, so its units move by the difference.
    """
    pegs: dict[tuple[str, str, str, str], int] = {}
    for lines, sign in ((before, -1), (after, 1)):
        for line in lines:
            for a in line.allocations if line.sku not in foreign else ():
                if a.supply:
                    key = line.sku, a.location, a.supply, line.needed_by
                    pegs[key] = pegs.get(key, 0) + sign * (a.held + a.committed)
                for tally in a.tallies:
                    if tally.source and (live := standing(a, tally).live):
                        known = number_of(position_of(state, line.sku, a.location), tally.source)
                        count_live(known, live, sign)
    for (sku, location, supply, needed_by), units in pegs.items():
        if units:
            peg(position_of(state, sku, location).supply, supply, needed_by, units)
