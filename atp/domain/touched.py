"""Whose availability an entry may have changed: what publishers of it and keepers of copies go by."""

from msgspec import json

from atp.domain.entries import (
    AnyEntry,
    AuthorityMoved,
    AuthorityReturned,
    AuthorityTaken,
    CampaignClosed,
    CampaignOpened,
    Committed,
    EntriesMissing,
    Expired,
    FallbackTaken,
    Fulfilled,
    Held,
    LedgerOpened,
    PolicyPut,
    Released,
    SourceHeard,
    SourceRestarted,
    SourceSeen,
    SourceSilent,
    Touched,
)
from atp.domain.sellers import split_item_channel

#: Policies that any sku's availability hangs on: where channels sell from, and what numbers mean.
NETWORK = frozenset({"location", "location-group", "channel", "source"})

#: Most entries, which tell of units and nothing else.
_UNITS = (Held, Committed, Released, Expired, Fulfilled)


def skus_of(entry: AnyEntry) -> set[str]:
    """The skus whose units this entry may have changed by itself."""
    if isinstance(entry, _UNITS):
        return {balance.sku for balance in entry.balances}
    match entry:
        case CampaignOpened() | CampaignClosed():
            return set(entry.skus)
        case PolicyPut(kind="item-channel"):
            return {split_item_channel(entry.id)[0]}
        case PolicyPut(kind="campaign"):
            return set(json.decode(entry.body)["skus"])
    return {balance.sku for balance in getattr(entry, "balances", ())}


def concerns_all(entry: AnyEntry) -> str:
    """Why any sku may have other units since this entry, told of no sku by itself; "" if it is not so.

    A change of the authority is not meant: its positions are told of one by one (``rules/authority.py``).
    """
    match entry:
        case PolicyPut(kind=kind) if kind in NETWORK:
            return kind
        case LedgerOpened(epoch=epoch) if epoch > 1:
            return "epoch"  # what was told of entries that the journal did not have may not be so
        case EntriesMissing():
            return "entries-missing"
    return ""


def shown_otherwise(entry: AnyEntry) -> set[str] | None:
    """The skus of which answers may read otherwise since this entry, marks included; None when it may be any."""
    if isinstance(entry, _UNITS):
        return skus_of(entry)
    match entry:
        case FallbackTaken() | AuthorityMoved() | AuthorityTaken():
            return None
        case SourceSeen() | SourceSilent() | SourceHeard() | SourceRestarted():
            return None
        case Touched() | AuthorityReturned():
            return {entry.sku}
    return None if concerns_all(entry) else skus_of(entry)
