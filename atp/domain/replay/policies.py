"""Replay of policies, and of the shares that campaigns and channels have of a sku (R11, R23, R31)."""

from atp.domain.entries import CampaignClosed, CampaignOpened, PolicyPut
from atp.domain.replay.balances import authority_of, location_policy, sku_of, take
from atp.domain.rules import policies
from atp.domain.sellers import seller_name, split_item_channel
from atp.domain.state import NO_CAP, Campaign, Seller, State


def _put(state: State, entry: PolicyPut) -> None:
    match entry.kind:
        case "item":
            _put_item(state, entry)
        case "item-channel":
            _put_share(state, entry)
        case "campaign":
            _put_campaign(state, entry)
            _put_body(state, entry)
        case "location":
            before = _sources_of(state, entry.id)
            _put_body(state, entry)
            place = state.locations.get(entry.id)
            if place is not None and _sources_of(state, entry.id) != before:
                place.fallback, place.since = "", 0
        case _:
            _put_body(state, entry)
    if entry.kind in ("location", "source"):
        state.next_silence = entry.at


def _put_body(state: State, entry: PolicyPut) -> None:
    state.policies[entry.kind, entry.id] = (entry.version, entry.body)
    state.policy_version = entry.seq


def _sources_of(state: State, location: str) -> tuple[str, str]:
    """Authority and fallback."""
    policy = location_policy(state, location)
    return authority_of(state, location), policy.listed("fallback") if policy else ""


def _put_item(state: State, entry: PolicyPut) -> None:
    body, item = policies.decode(entry.body, policies.Item), sku_of(state, entry.id)
    item.policy, item.policy_version, item.seq = entry.body, entry.version, entry.seq
    item.safety_stock, item.safety_stock_by_location = body.safety_stock, dict(body.safety_stock_by_location)
    take(state, entry.seq, entry.balances)


def _put_share(state: State, entry: PolicyPut) -> None:
    body, (sku, channel) = policies.decode(entry.body, policies.Share), split_item_channel(entry.id)
    item, cap = sku_of(state, sku), NO_CAP if body.cap is None else body.cap
    item.sellers[channel] = Seller(body.protection, cap, 0, entry.seq, entry.version)
    item.seq = entry.seq


def _put_campaign(state: State, entry: PolicyPut) -> None:
    """One that is running keeps its count."""
    body, name = policies.decode(entry.body, policies.Campaign), seller_name("", entry.id)
    known = state.campaigns.get(entry.id)
    if known is not None and known.phase == 2:
        known = None
    for sku in known.skus if known else []:
        if sku not in entry.skus:
            _take_back(state, sku, name, entry.seq)
    for sku in entry.skus:
        item, quantity = sku_of(state, sku), body.skus[sku].quantity
        share = item.sellers.get(name) or Seller(since=entry.seq)
        item.sellers[name] = Seller(quantity, quantity, share.used, share.since, entry.version)
        item.seq = entry.seq
    phase = 1 if known and known.phase == 1 and body.opens <= entry.at else 0
    since = known.since if known else entry.seq
    state.campaigns[entry.id] = Campaign(phase, since, list(entry.skus))


def _opened(state: State, entry: CampaignOpened) -> None:
    state.campaigns[entry.campaign].phase = 1
    for sku in entry.skus:
        sku_of(state, sku).seq = entry.seq


def _closed(state: State, entry: CampaignClosed) -> None:
    state.campaigns[entry.campaign].phase = 2
    for sku in entry.skus:
        _take_back(state, sku, seller_name("", entry.campaign), entry.seq)
    for buyer in [key for key in state.buyers if key[0] == entry.campaign]:
        del state.buyers[buyer]


def _take_back(state: State, sku: str, name: str, seq: int) -> None:
    item = sku_of(state, sku)
    item.sellers.pop(name, None)
    item.seq = seq


EFFECTS = {PolicyPut: _put, CampaignOpened: _opened, CampaignClosed: _closed}
