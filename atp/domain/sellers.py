"""Sellers: under whose name units of a sku are sold, as floors and ceilings count them.

A channel sells under its own name. A campaign is a seller of its own, of the best rank, and its sales do not count to
the channel they came through (R23); its name starts with a character that no identifier has (R39).
"""

#: Before a campaign's id, and between sku and channel in the id of their common policy.
SEPARATOR = "\x1f"


def seller_name(channel: str, campaign: str) -> str:
    """The name that a reservation's units count under."""
    return SEPARATOR + campaign if campaign else channel


def item_channel(sku: str, channel: str) -> str:
    """The id of the policy that gives a channel its share of a sku."""
    return sku + SEPARATOR + channel


def split_item_channel(id: str) -> tuple[str, str]:
    """(sku, channel) of such an id."""
    sku, _, channel = id.partition(SEPARATOR)
    return sku, channel
