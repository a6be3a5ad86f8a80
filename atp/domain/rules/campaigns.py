"""Campaigns: stock set aside for a sale, from its PUT until it closes (R23).

A campaign is a seller of the best rank with protection = cap = quantity. The edges of its window change what can be
bought without anybody asking, so they are journaled as soon as a batch comes after them; whether a basket is inside
the window is decided by the clock alone.
"""

from atp.domain.commands import PutPolicy
from atp.domain.entries import CampaignClosed, CampaignOpened
from atp.domain.rules import policies
from atp.domain.rules.batch import Batch
from atp.domain.sellers import seller_name
from atp.domain.state import Campaign, Seller


def put_campaign(batch: Batch, c: PutPolicy, seq: int, version: int) -> None:
    """Set stock aside. A campaign that is running keeps its count when it is put again: its quantity is a total."""
    body, name = policies.decode(c.body, policies.Campaign), seller_name("", c.id)
    known = batch.state.campaigns.get(c.id)
    if known and known.phase == 2:
        known = None
    since = known.since if known else seq
    for sku in known.skus if known else []:
        if sku not in c.skus:
            _take_back(batch, sku, name, seq)
    for sku in c.skus:
        item, quantity = batch.sku(sku), body.skus[sku].quantity
        share = item.sellers.get(name) or Seller(since=seq)
        item.sellers[name] = Seller(quantity, quantity, share.used, share.since, version)
        item.seq = seq
    phase = 1 if known and known.phase == 1 and body.opens <= batch.now else 0
    batch.state.campaigns[c.id] = Campaign(phase, since, list(c.skus))


def pass_edges(batch: Batch, client: str = "", cause: str = "") -> None:
    """Journal the edges of windows that lie behind, in their order; ``cause`` is a call that put them there."""
    while (edge := min(_edges(batch), default=None)) is not None and edge[0] <= batch.now:
        _, _, id = edge
        campaign = batch.state.campaigns[id]
        seq = batch.next_seq()
        campaign.phase += 1
        if campaign.phase == 1:
            for sku in campaign.skus:
                batch.sku(sku).seq = seq
            batch.entries.append(CampaignOpened(seq, batch.now, client, cause, id, list(campaign.skus)))
        else:
            for sku in campaign.skus:
                _take_back(batch, sku, seller_name("", id), seq)
            for buyer in [key for key in batch.state.buyers if key[0] == id]:
                del batch.state.buyers[buyer]
            batch.entries.append(CampaignClosed(seq, batch.now, client, cause, id, list(campaign.skus)))


def _edges(batch: Batch) -> list[tuple[int, int, str]]:
    """(time, phase, id) of the next edge of every campaign that has one."""
    found = []
    for id, campaign in batch.state.campaigns.items():
        body = batch.campaign(id)
        if body and campaign.phase < 2:
            found.append((body.opens if campaign.phase == 0 else body.closes, campaign.phase, id))
    return found


def _take_back(batch: Batch, sku: str, name: str, seq: int) -> None:
    item = batch.sku(sku)
    item.sellers.pop(name, None)
    item.seq = seq
