"""Limits: what a channel and a campaign allow, and the counters of what customers hold and have bought (R23, R32)."""

from copy import deepcopy

from atp.domain.commands import Reserve
from atp.domain.outcomes import Outcome
from atp.domain.records import DEFAULT_TTL_MS, Reservation
from atp.domain.results import Result
from atp.domain.rules.batch import Batch
from atp.domain.rules.policies import Campaign, Channel
from atp.domain.sellers import seller_name
from atp.domain.state import State


def refuse_seller(batch: Batch, c: Reserve) -> Result | None:
    """Why this channel, or this campaign, may not sell this basket to this customer at these places now."""
    seq = batch.state.seq
    campaign = batch.campaign(c.campaign) if c.campaign else None
    if c.campaign and campaign is None:
        return Result(Outcome.UNKNOWN_CAMPAIGN, seq, detail=c.campaign)
    limited = batch.channel(c.channel).held_units_per_customer is not None
    if not c.customer and (limited or (campaign and campaign.per_customer is not None)):
        return Result(Outcome.CUSTOMER_REQUIRED, seq)  # who leaves the name out must not have more than the others
    if campaign and campaign.channels and c.channel not in campaign.channels:
        return Result(Outcome.CHANNEL_NOT_ALLOWED, seq, detail="campaign")
    for index, line in enumerate(c.lines):
        if line.location and not batch.sells_at(c.channel, line.location):
            return Result(Outcome.CHANNEL_NOT_ALLOWED, seq, detail=str(index))
        if line.location_group and not batch.serves(c.channel, line.location_group):
            return Result(Outcome.CHANNEL_NOT_ALLOWED, seq, detail=str(index))
    if campaign and not campaign.opens <= batch.now < campaign.closes:
        return Result(Outcome.CAMPAIGN_CLOSED, seq)
    if campaign and campaign.waiting_room and not c.ticket:
        return Result(Outcome.TICKET_REQUIRED, seq)
    return None


def hold_ttl(c: Reserve, channel: Channel, campaign: Campaign | None) -> int:
    """How long the hold lives, ms: as asked, else as the campaign says, else the default as the channel allows it."""
    if c.ttl_ms:
        return c.ttl_ms
    if campaign:
        return campaign.ttl_seconds * 1000
    return min(DEFAULT_TTL_MS, channel.max_hold_seconds * 1000)


def refuse_ttl(batch: Batch, c: Reserve, ttl: int, old: Reservation | None) -> Result | None:
    """The longest hold."""
    channel, campaign = batch.channel(c.channel), batch.campaign(c.campaign) if c.campaign else None
    since = old.since if old else batch.now
    longest = campaign.ttl_seconds * 1000 if campaign else channel.max_hold_seconds * 1000
    if ttl > longest or batch.now + ttl > since + channel.max_hold_seconds * 1000:
        return Result(Outcome.LIMIT_EXCEEDED, batch.state.seq, detail="ttl")
    return None


def refuse_units(batch: Batch, c: Reserve, *olds: Reservation | None) -> Result | None:
    """Units held at once by the customer, units of a campaign per customer and sku; those of ``olds`` are given back.

    They are no ground of a refusal while due holds remain (R21).
    """
    channel, campaign = batch.channel(c.channel), batch.campaign(c.campaign) if c.campaign else None
    ends = [old for old in olds if old is not None]
    in_place = [old for old in ends if counts_to_campaign(batch.state, old, c.campaign)]
    if campaign and campaign.waiting_room and not in_place and (c.campaign, "", c.ticket) in batch.state.buyers:
        return Result(Outcome.TICKET_REQUIRED, batch.state.seq, detail="used")
    wanted: dict[str, int] = {}
    for line in c.lines:
        wanted[line.sku] = wanted.get(line.sku, 0) + line.quantity
    if channel.held_units_per_customer is not None:
        held = batch.state.holding.get((c.channel, c.customer), 0)
        held -= sum(_held(batch, old) for old in ends if old.channel == c.channel)
        if held + sum(wanted.values()) > channel.held_units_per_customer:
            return _too_many(batch, "held_units_per_customer")
    if campaign and campaign.per_customer is not None:
        for sku, quantity in wanted.items():
            bought = batch.state.buyers.get((c.campaign, sku, c.customer), 0)
            bought -= sum(_held(batch, old, sku) for old in in_place)
            if bought + quantity > campaign.per_customer:
                return _too_many(batch, "per_customer")
    return None


def refuse_expired(batch: Batch, r: Reservation, campaign: Campaign) -> Result | None:
    """The same for units of the campaign that expired and are to be taken again: others were bought meanwhile."""
    if campaign.per_customer is None or not r.customer:
        return None
    for sku in {line.sku for line in r.lines}:
        expired = sum(a.expired for line in r.lines if line.sku == sku for a in line.allocations)
        bought = batch.state.buyers.get((r.campaign, sku, r.customer), 0)
        if expired and bought + expired > campaign.per_customer:
            return _too_many(batch, "per_customer", deepcopy(r))
    return None


def _too_many(batch: Batch, limit: str, r: Reservation | None = None) -> Result:
    if batch.due_left:
        return Result(Outcome.AGAIN, batch.state.seq)
    return Result(Outcome.LIMIT_EXCEEDED, r.seq if r else batch.state.seq, r, detail=limit)


def use_ticket(state: State, campaign: str, ticket: str) -> None:
    """A ticket lets one reservation in, and whatever replaces that; it is kept beside the buyers, as one of no sku."""
    if ticket and (standing := state.campaigns.get(campaign)) and standing.phase < 2:
        state.buyers[campaign, "", ticket] = 1


def count_held(batch: Batch, r: Reservation, sku: str, units: int) -> None:
    """``units`` more of the reservation are held now, or fewer; another partition counts its own skus (R3)."""
    if r.customer and units and sku not in batch.foreign:
        add(batch.state.holding, (r.channel, r.customer), units)


def count_sold(batch: Batch, r: Reservation, sku: str, units: int) -> None:
    """``units`` more of the sku are sold through the reservation's seller, or given back to it (R11, R23)."""
    if sku in batch.foreign:
        return
    share = batch.sku(sku).sellers.get(seller_name(r.channel, r.campaign))
    if share and r.first_seq > share.since:
        share.used += units
    if r.customer and counts_to_campaign(batch.state, r, r.campaign):
        add(batch.state.buyers, (r.campaign, sku, r.customer), units)


def counts_to_campaign(state: State, r: Reservation, id: str) -> bool:
    """Whether the reservation was made in the campaign while it has been counting as it does now."""
    campaign = state.campaigns.get(id) if id else None
    return r.campaign == id and campaign is not None and campaign.phase < 2 and r.first_seq > campaign.since


def _held(batch: Batch, r: Reservation, sku: str = "") -> int:
    lines = [line for line in r.lines if sku in ("", line.sku) and line.sku not in batch.foreign]
    return sum(a.held for line in lines for a in line.allocations)


def add[K](counts: dict[K, int], key: K, units: int) -> None:
    """Count ``units`` more, or fewer; what counts nothing goes."""
    counts[key] = counts.get(key, 0) + units
    if counts[key] <= 0:
        del counts[key]
