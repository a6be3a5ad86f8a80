"""Channels, their shares of skus, campaigns."""

from random import Random
from typing import Any

from msgspec import json

from atp.domain import commands as c
from atp.domain.sellers import item_channel
from tests.scenarios.world import CAMPAIGNS, CHANNEL_BODIES, CHANNELS, SHARE_BODIES

SHARE = 6


def command(life: Any, draw: Random) -> c.Command:
    expected = draw.choice([-1, -1, -1, 0])
    kind = draw.randrange(6)
    if kind == 0:
        return c.PutPolicy("channel", draw.choice(CHANNELS), draw.choice(CHANNEL_BODIES), expected, 0, "a")
    if kind < 5:
        id = item_channel(draw.choice(life.skus), draw.choice(CHANNELS))
        return c.PutPolicy("item-channel", id, draw.choice(SHARE_BODIES), expected, 0, "a")
    skus = draw.sample(life.skus, draw.randint(1, 3))
    opens = life.now + draw.choice([-1_000, 0, 900, 5_000])
    body: dict[str, Any] = {
        "opens": opens,
        "closes": opens + draw.choice([1, 5_000, 700_000]),
        "skus": {sku: {"quantity": draw.choice([1, 10, 30])} for sku in skus},
        "channels": draw.choice([[], ["web"], ["web", "app"]]),
        "ttl_seconds": draw.choice([5, 600]),
    }
    if draw.random() < 0.5:
        body["per_customer"] = draw.choice([2, 8, None])
    if draw.random() < 0.5:
        body["waiting_room"] = draw.random() < 0.7
    text = json.encode(body).decode()
    return c.PutPolicy("campaign", draw.choice(CAMPAIGNS), text, expected, 0, "a", skus=skus)
