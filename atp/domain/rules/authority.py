"""Authority: whose number counts at a location, and the step in which that changes (R12).

It is kept by location, so a cut-over is one step whatever the number of positions: each has what every source says of
it all along, with its own inclusion, and what it sells from then on is the other source's number as it is. What that
changed is told afterwards, in pages, and whether all promises are still covered is looked at then.
"""

from atp.domain.commands import MoveAuthority, Recheck
from atp.domain.entries import AuthorityMoved, PolicyPut, PositionsRecounted
from atp.domain.outcomes import Outcome
from atp.domain.results import Result
from atp.domain.rules import shortage
from atp.domain.rules.batch import Batch
from atp.domain.state import Location

#: Calls that moved a location's authority, remembered to recognise their repeats.
MOVES_MAX = 8


def settle_authority(
    batch: Batch, location: str, before: tuple[str, str], client: str, cause: str, change: tuple[int, int] = (0, 0)
) -> None:
    """After a location was put, by a ``change`` or as a policy; ``before`` are its authority and fallback till then."""
    now, place = (batch.authority(location), batch.fallback(location)), batch.state.locations.get(location)
    moved = bool(before[0]) and now[0] != before[0]
    if place and now != before:
        place.fallback, place.since = "", 0
    if not moved and not change[0]:
        return
    seq = batch.next_seq()
    batch.entries.append(AuthorityMoved(seq, batch.now, client, cause, location, before[0], now[0], change))
    place = batch.state.locations.setdefault(location, Location())
    if moved:
        place.recheck, place.before = seq, before[0]
    if change[0]:
        place.moves = [*place.moves, change][-MOVES_MAX:]


def move_authority(batch: Batch, c: MoveAuthority) -> Result:
    """Cut a location over to another source; one that nobody ever heard of is refused, for it would sell nothing."""
    state, change = batch.state, (c.change.key, c.change.body)
    current = state.policies.get(("location", c.location), (0, ""))[0]
    place = state.locations.get(c.location) or Location()
    for key, body in place.moves:
        if key == change[0]:
            if body != change[1]:
                return Result(Outcome.KEY_REUSED, state.seq)
            return Result(Outcome.REPLAYED, state.seq, detail=str(current), replayed=True)
    if not c.version:
        if c.source not in state.sources and ("source", c.source) not in state.policies:
            return Result(Outcome.NOT_FOUND, state.seq, detail=c.source)
        if not current:
            return Result(Outcome.UNKNOWN_LOCATION, state.seq, detail=c.location)
        if c.if_version not in (-1, current):
            return Result(Outcome.VERSION_MISMATCH, state.seq, detail=str(current))
        policy = batch.location(c.location)
        if policy and policy.listed("authority") == c.source:
            return Result(Outcome.REPLAYED, state.seq, detail=str(current))
    before = batch.authority(c.location), batch.fallback(c.location)
    seq = batch.next_seq()
    version = c.version or seq
    state.policies["location", c.location] = (version, c.body)
    state.policy_version = seq
    state.next_silence = batch.now
    batch.entries.append(PolicyPut(seq, batch.now, c.client, c.cause, "location", c.location, c.body, version, []))
    settle_authority(batch, c.location, before, c.client, c.cause, change)
    return Result(Outcome.APPLIED, seq, detail=str(version))


def recheck(batch: Batch, c: Recheck) -> Result:
    """Tell what a change of the counting source left free at some positions, and open the shortages it made."""
    place, skus = batch.state.locations.get(c.location), batch.state.skus
    if place is None or place.recheck != c.seq:
        return Result(Outcome.NOT_ACTIVE, batch.state.seq, detail="closed")
    here = [sku for sku in c.skus if sku in skus and c.location in skus[sku].positions]
    balances = [
        now for sku in here
        if (now := batch.balance(sku, c.location)).free != batch.balance_by(sku, c.location, place.before).free
    ]  # fmt: skip
    if balances or c.last:
        seq = batch.next_seq()
        batch.touch(seq, [balance.sku for balance in balances])
        batch.entries.append(PositionsRecounted(seq, batch.now, "", c.cause, c.location, balances, c.last))
    for sku in here:
        shortage.recheck(batch, sku, c.location, c.cause)
    if c.last:
        place.recheck = 0
    return Result(Outcome.APPLIED, batch.state.seq)
