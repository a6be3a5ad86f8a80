"""What is in use cannot be deleted (R31): why not, in words for people, or "" if it can."""

import time

from msgspec import Struct, json

from atp.api.service import Service
from atp.domain.records import Policy


class _Listed(Struct):
    source: str


class _Location(Struct):
    active: bool = True
    groups: list[str] = []
    sources: list[_Listed] = []


class _Channel(Struct):
    locations: list[str] = []
    location_groups: list[str] = []


class _Campaign(Struct):
    opens: int = 0
    closes: int = 0


async def nothing(service: Service, found: Policy) -> str:
    """Of what may always be deleted."""
    return ""


async def location_in_use(service: Service, found: Policy) -> str:
    """It may still be drawn on, or units of it are promised.

    Nothing is taken from one that is not active, and it is deleted under the version seen here, so no unit can be
    promised between the look and the deletion.
    """
    if json.decode(found.body, type=_Location).active:
        return "The location is active: put it with `active` false first, so that nothing more is promised from it."
    for channel in await service.ledger.policies("channel"):
        if found.id in json.decode(channel.body, type=_Channel).locations:
            return f"The channel {channel.id} lists this location."
    if await service.ledger.looks.any_promised(found.id):
        return "Units at this location are held or committed."
    return ""


async def source_in_use(service: Service, found: Policy) -> str:
    """A location lists it."""
    for location in await service.ledger.policies("location"):
        if any(listed.source == found.id for listed in json.decode(location.body, type=_Location).sources):
            return f"The location {location.id} lists this source."
    return ""


async def group_in_use(service: Service, found: Policy) -> str:
    """A location is in it, or a channel sells from it."""
    for location in await service.ledger.policies("location"):
        if found.id in json.decode(location.body, type=_Location).groups:
            return f"The location {location.id} is in this group."
    for channel in await service.ledger.policies("channel"):
        if found.id in json.decode(channel.body, type=_Channel).location_groups:
            return f"The channel {channel.id} lists this group."
    return ""


async def campaign_in_use(service: Service, found: Policy) -> str:
    """It is open."""
    campaign = json.decode(found.body, type=_Campaign)
    if campaign.opens <= time.time() * 1000 < campaign.closes:
        return "The campaign is open: put it with an earlier `ends_at` first."
    return ""
