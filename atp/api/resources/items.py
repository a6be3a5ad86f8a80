"""The list of items over HTTP: there may be a million, so it is paged, and it comes from the journal."""

from typing import Annotated

from msgspec import Meta, Struct

from atp.api.call import Answer, Call
from atp.api.resources.history import limit_of, open_journal
from atp.api.resources.policies import ITEMS, ItemView
from atp.api.service import Service


class ItemList(Struct, omit_defaults=True):
    """A page, by sku; `after` is there while there are more."""

    items: list[ItemView]
    after: Annotated[str, Meta(description="For the next page.")] = ""


async def list_items(service: Service, call: Call) -> Answer:
    """Items with rules of their own, by sku, from the journal, which is a moment behind the ledger."""
    query = call.query("after", "limit")
    limit = limit_of(query)
    async with open_journal(service) as journal:
        found = await journal.policies_after(ITEMS.kind, query.get("after", ""), limit + 1)
    more = {"after": found[limit - 1].id} if len(found) > limit else {}
    return ITEMS.page([policy for policy in found[:limit] if not policy.deleted], more)
