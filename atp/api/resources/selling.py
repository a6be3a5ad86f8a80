"""Policies of the selling side over HTTP: channels, shares of a sku, location groups, campaigns (R11, R23, R32)."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from msgspec import Meta, Struct, json

from atp.api.call import Call
from atp.api.decoding import escape
from atp.api.problems import invalid
from atp.api.resources.in_use import campaign_in_use, group_in_use
from atp.api.resources.policies import Policies, Version, check_no_more
from atp.api.resources.requests import QUANTITY_MAX, UNIQUE, check_identifier, check_names
from atp.domain.commands import PutPolicy
from atp.domain.identifiers import ChannelId, LocationId
from atp.domain.records import DELETED, Policy
from atp.domain.sellers import item_channel, split_item_channel
from atp.domain.times import rfc3339

_decode_plain = json.Decoder(dict[str, Any]).decode

_MAX_HOLD_SECONDS = 14_400
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_MS = 253_402_300_799_999  # 9999 ends; what is told of a later time has no RFC 3339 text

Units = Annotated[int, Meta(ge=1, le=QUANTITY_MAX)]


class ChannelBody(Struct, forbid_unknown_fields=True):
    """Where units are sold. Without any list it sells from all active locations."""

    priority: Annotated[int, Meta(ge=0, le=1_000_000, description="A rank: protections of 0 are granted first.")] = 0
    location_groups: Annotated[list[LocationId], Meta(max_length=100, extra_json_schema=UNIQUE)] = []
    locations: Annotated[list[LocationId], Meta(max_length=1_000, extra_json_schema=UNIQUE)] = []
    held_units_per_customer: Annotated[
        Units | None, Meta(description="Units one customer may hold at once; reserves must name a customer then.")
    ] = None
    max_hold_seconds: Annotated[
        int, Meta(ge=1, le=_MAX_HOLD_SECONDS, description="Longest hold, extensions and replacements included.")
    ] = _MAX_HOLD_SECONDS


class ShareBody(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A channel's share of one sku; its count begins with this PUT."""

    protection: Annotated[
        int, Meta(ge=0, le=QUANTITY_MAX, description="Units kept for this channel, less what it sold.")
    ] = 0
    cap: Annotated[
        Annotated[int, Meta(ge=0, le=QUANTITY_MAX)] | None,
        Meta(description="Most units this channel may sell; null for no limit."),
    ] = None


class LocationGroupBody(Struct, forbid_unknown_fields=True):
    """A name that locations list in their `groups`."""

    description: Annotated[str, Meta(max_length=200)] = ""


class CampaignItem(Struct, forbid_unknown_fields=True):
    """What is set aside of one sku."""

    quantity: Units


class CampaignBody(Struct, forbid_unknown_fields=True):
    """A sale: from its PUT until `ends_at` the quantities are kept for it; put again while it runs, they are totals."""

    starts_at: datetime
    ends_at: datetime
    skus: Annotated[dict[str, CampaignItem], Meta(min_length=1, max_length=1_000)]
    channels: Annotated[
        list[ChannelId],
        Meta(max_length=100, extra_json_schema=UNIQUE, description="Who may sell in it; none listed: all."),
    ] = []
    ttl_seconds: Annotated[int, Meta(ge=1, le=_MAX_HOLD_SECONDS, description="How long a hold in it lives.")] = 300
    per_customer: Annotated[
        Units | None, Meta(description="Units of each sku that one customer may hold and buy in it.")
    ] = None
    waiting_room: Annotated[
        bool, Meta(description="Only who shows a due ticket may reserve in it: POST /v1/campaigns/{id}/tickets.")
    ] = False


class ChannelView(ChannelBody, kw_only=True):
    """A channel as it is kept."""

    id: str
    version: Version


class ShareView(ShareBody, kw_only=True):
    """A channel's share of a sku as it is kept."""

    sku: str
    channel: str
    version: Version


class LocationGroupView(LocationGroupBody, kw_only=True):
    """A location group as it is kept."""

    id: str
    version: Version


class CampaignView(CampaignBody, kw_only=True):
    """A campaign as it is kept."""

    id: str
    version: Version


class LocationGroupList(Struct):
    """All location groups, by id."""

    location_groups: list[LocationGroupView]


class ChannelList(Struct):
    """All channels, by id."""

    channels: list[ChannelView]


class CampaignList(Struct):
    """All campaigns, by id."""

    campaigns: list[CampaignView]


_decode_share = json.Decoder(ShareBody).decode


class _Shares(Policies[ShareBody]):
    """Their id is made of two path parameters."""

    def id_of(self, param: Callable[[str], str]) -> str:
        return item_channel(param("sku"), param("channel"))

    def shown_id(self, id: str) -> dict[str, Any]:
        sku, channel = split_item_channel(id)
        return {"sku": sku, "channel": channel}

    def is_gone(self, found: Policy) -> bool:
        """The ledger keeps its two numbers alone, and a share without either is none."""
        return _decode_share(found.body) == ShareBody()


class _Campaigns(Policies[CampaignBody]):
    """The law reads the window in milliseconds, so the kept body has it in both forms."""

    def kept(self, body: CampaignBody) -> bytes:
        times = {"opens": _ms(body.starts_at), "closes": _ms(body.ends_at)}
        plain = {name: getattr(body, name) for name in CampaignBody.__struct_fields__}
        shown = {"starts_at": rfc3339(times["opens"]), "ends_at": rfc3339(times["closes"])}
        return json.encode(plain | shown | times)

    def shown(self, body: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in body.items() if name not in ("opens", "closes")}

    def command(self, call: Call, id: str, body: CampaignBody, if_version: int) -> PutPolicy:
        made = super().command(call, id, body, if_version)
        made.skus = list(body.skus)
        return made

    def deletion(self, call: Call, found: Policy) -> PutPolicy:
        """Its window is over, so the next batch gives back what was set aside for it, and says so."""
        made = super().deletion(call, found)
        body = _decode_plain(found.body)
        made.body = json.encode(body | {"opens": 0, "closes": 0}).decode()[:-1] + "," + DELETED
        made.skus = list(body["skus"])
        return made


def _ms(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(milliseconds=1)


def _check_channel(body: ChannelBody) -> None:
    check_names(body.location_groups, "/location_groups")
    check_names(body.locations, "/locations")


def _check_campaign(body: CampaignBody) -> None:
    for name in ("starts_at", "ends_at"):
        if getattr(body, name).tzinfo is None:
            raise invalid("A time needs its zone.", pointer=f"/{name}")
        if not 0 <= _ms(getattr(body, name)) <= _LAST_MS:
            raise invalid("A time is in the years 1970 to 9999, as UTC has them.", pointer=f"/{name}")
    if _ms(body.ends_at) <= _ms(body.starts_at):
        raise invalid("A campaign ends after it begins.", pointer="/ends_at")
    for sku in body.skus:
        check_identifier(sku, f"/skus/{escape(sku)}")
    check_names(body.channels, "/channels")


CHANNELS = Policies("channel", "id", ChannelBody, _check_channel)
SHARES = _Shares("item-channel", "channel", ShareBody, check_no_more)
GROUPS = Policies("location-group", "id", LocationGroupBody, check_no_more, group_in_use)
CAMPAIGNS = _Campaigns("campaign", "id", CampaignBody, _check_campaign, campaign_in_use)
