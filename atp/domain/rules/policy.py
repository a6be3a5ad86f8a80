"""Policies are ledger state, changed by journaled commands (R31).

Most are bodies that other rules decode when they need them. An item's and an item-channel's are kept in the sku's
record, and a campaign gives a share to each of its skus.
"""

from atp.domain.commands import PutPolicy
from atp.domain.entries import PolicyPut
from atp.domain.outcomes import Outcome
from atp.domain.records import Balance
from atp.domain.results import Result
from atp.domain.rules import policies
from atp.domain.rules.authority import settle_authority
from atp.domain.rules.batch import Batch
from atp.domain.rules.campaigns import pass_edges, put_campaign
from atp.domain.rules.remembering import answer, answered
from atp.domain.sellers import seller_name, split_item_channel
from atp.domain.state import NO_CAP, PROTECTED_MAX, Seller, Sku


def put_policy(batch: Batch, c: PutPolicy) -> Result:
    """Replace one object; its version is the seq of the change, or the one a copy brings along."""
    state = batch.state
    if done := answered(batch, c.call):
        return done
    current = _version(batch, c)
    if 0 < c.version <= current:
        return Result(Outcome.REPLAYED, current, detail=str(current), replayed=True)
    if c.if_version not in (-1, current):
        return Result(Outcome.VERSION_MISMATCH, state.seq, detail=str(current))
    if _too_many_floors(batch, c):
        return Result(Outcome.LIMIT_EXCEEDED, state.seq, detail="protections")
    before = batch.authority(c.id), batch.fallback(c.id)  # of a location
    seq = batch.next_seq()
    version = c.version or seq
    balances: list[Balance] = []
    match c.kind:
        case "item":
            balances = _put_item(batch, c, seq, version)
        case "item-channel":
            _put_share(batch, c, seq, version)
        case _:
            if c.kind == "campaign":
                put_campaign(batch, c, seq, version)
            state.policies[c.kind, c.id] = (version, c.body)
            state.policy_version = seq
    skus = list(c.skus) if c.kind == "campaign" else []
    batch.entries.append(PolicyPut(seq, batch.now, c.client, c.cause, c.kind, c.id, c.body, version, balances, skus))
    if c.kind in ("location", "source"):
        state.next_silence = batch.now  # by the next batch another source may be silent, or silent somewhere else
    if c.kind == "campaign":
        # A window that is over, as that of a deleted one, withholds nothing from the next command.
        pass_edges(batch, c.client, c.cause)
    if c.kind == "location":
        settle_authority(batch, c.id, before, c.client, c.cause)
    return answer(batch, c.call, Result(Outcome.APPLIED, seq, detail=str(version)))


def _version(batch: Batch, c: PutPolicy) -> int:
    if c.kind == "item":
        return batch.state.skus.get(c.id, Sku()).policy_version
    if c.kind == "item-channel":
        sku, channel = split_item_channel(c.id)
        return batch.state.skus.get(sku, Sku()).sellers.get(channel, Seller()).version
    return batch.state.policies.get((c.kind, c.id), (0, ""))[0]


def _too_many_floors(batch: Batch, c: PutPolicy) -> bool:
    """Floors are exact over every set of sellers, so a sku has a bounded number of them."""
    if c.kind == "item-channel":
        sku, name = split_item_channel(c.id)
        wanted = {sku: name} if policies.decode(c.body, policies.Share).protection else {}
    elif c.kind == "campaign" and policies.decode(c.body, policies.Campaign).closes > batch.now:
        wanted = dict.fromkeys(c.skus, seller_name("", c.id))
    else:
        return False
    for sku, name in wanted.items():
        others = batch.state.skus.get(sku, Sku()).sellers
        if sum(share.protection > 0 for other, share in others.items() if other != name) >= PROTECTED_MAX:
            return True
    return False


def _put_item(batch: Batch, c: PutPolicy, seq: int, version: int) -> list[Balance]:
    body = policies.decode(c.body, policies.Item)
    item = batch.sku(c.id)
    item.policy, item.policy_version, item.seq = c.body, version, seq
    item.safety_stock, item.safety_stock_by_location = body.safety_stock, dict(body.safety_stock_by_location)
    return [batch.balance(c.id, at) for at in sorted(item.positions)]


def _put_share(batch: Batch, c: PutPolicy, seq: int, version: int) -> None:
    """A channel's floor and ceiling; what it sold before does not count (R11)."""
    body = policies.decode(c.body, policies.Share)
    sku, channel = split_item_channel(c.id)
    item = batch.sku(sku)
    item.sellers[channel] = Seller(body.protection, NO_CAP if body.cap is None else body.cap, 0, seq, version)
    item.seq = seq
