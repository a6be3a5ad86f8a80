"""Policies: locations, sources, items and clients are ledger state, changed by journaled commands (R31)."""

from msgspec import Struct, json

from atp.domain.commands import PutPolicy
from atp.domain.entries import PolicyPut
from atp.domain.outcomes import Outcome
from atp.domain.results import Result
from atp.domain.rules.batch import Batch


class _Item(Struct):
    safety_stock: int = 0
    safety_stock_by_location: dict[str, int] = {}


def put_policy(batch: Batch, c: PutPolicy) -> Result:
    """Replace one object; its version is the seq of the change, or the one a copy brings along."""
    state = batch.state
    key = (c.kind, c.id)
    if c.kind == "item":
        item = state.skus.get(c.id)
        current = item.policy_version if item else 0
    else:
        current = state.policies.get(key, (0, ""))[0]
    if c.if_version not in (-1, current):
        return Result(Outcome.VERSION_MISMATCH, state.seq, detail=str(current))
    seq = batch.next_seq()
    version = c.version or seq
    balances = []
    if c.kind == "item":
        body = json.decode(c.body, type=_Item)
        item = batch.sku(c.id)
        item.policy, item.policy_version, item.seq = c.body, version, seq
        item.safety_stock, item.safety_stock_by_location = body.safety_stock, body.safety_stock_by_location
        balances = [batch.balance(c.id, at) for at in sorted(item.positions)]
    else:
        state.policies[key] = (version, c.body)
        state.policy_version = seq
    batch.entries.append(PolicyPut(seq, batch.now, c.client, c.cause, c.kind, c.id, c.body, version, balances))
    return Result(Outcome.APPLIED, seq, detail=str(version))
